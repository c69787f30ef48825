"""An Envoy that runs out of memory sheds new work, stays up, and takes work again when there is room."""

from __future__ import annotations

import re
import socket

import httpx

from gateway.bootstrap_overload import HEAP_SHARE
from gateway.envoy_settings import LEAST_MEMORY
from tests.harness import gateways as g
from tests.harness.echo import running_echo
from tests.harness.envoy import Envoy, envoy_with
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

HEAP = int(LEAST_MEMORY * HEAP_SHARE)
SHEDDING = 96
"""Per cent of the heap: requests are refused, and connections are not yet."""
HEAD = b"POST /big HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n"


def test_a_full_memory() -> None:
    """A body that is kept fills it: others hear 503 at once, probes are answered, and it passes."""
    port = free_port()
    with running_echo() as echo:
        routes = (g.route("/big", max_body=200 << 20), g.route("/"))
        gateway = g.gateway(*routes, listeners=(g.listener(port),), upstreams=(g.upstream(port=echo.port),))
        with envoy_with(edge_snapshot(gateway), memory_limit=LEAST_MEMORY) as envoy:
            url = f"http://127.0.0.1:{port}/"
            assert httpx.get(url).status_code == 200
            with socket.create_connection(("127.0.0.1", port), timeout=5) as greedy:
                greedy.sendall(HEAD)
                wait_for(lambda: filled(greedy, envoy), seconds=20, what="the memory is full")
                shed = httpx.get(url)
                assert shed.json()["type"] == "urn:gateway:problem:overloaded"
                assert httpx.get(f"{envoy.health_url}/health/ready").status_code == 200
            wait_for(lambda: httpx.get(url).status_code == 200 or None, seconds=10, what="requests are taken again")
            assert envoy.process.poll() is None


def filled(greedy: socket.socket, envoy: Envoy) -> bool | None:
    """Send half of what is missing, and wait until Envoy has looked at its heap again."""
    now = pressure(envoy)
    if now >= SHEDDING:
        return True
    greedy.sendall(b"x" * (HEAP // 100 * max(1, (SHEDDING - now) // 2)))
    return wait_for(lambda: None if pressure(envoy) == now else False, seconds=10, what="Envoy has looked") or None


def pressure(envoy: Envoy) -> int:
    """Which part of its heap is in use, in per cent."""
    name = "overload.envoy.resource_monitors.fixed_heap.pressure"
    found = re.search(rf"^{re.escape(name)}: (\d+)$", envoy.admin(f"/stats?filter={name}").text, re.MULTILINE)
    return int(found[1]) if found else 0
