"""While a canary has another policy than all others, each node's requests are decided by its own: real services."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.fleet import Fleet
from tests.harness.ports import free_port
from tests.harness.valkey import running_valkey

pytestmark = pytest.mark.timeout(90)

SECONDS = 15.0


def document(ports: tuple[int, int], backend: int, key: str, *, canary: str = "") -> str:
    """Two groups of one node each, and one API key; ``bird`` is the canary's node."""
    bird, plain = ports
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"""
listeners: [{{name: bird, port: {bird}}}, {{name: plain, port: {plain}}}]
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:{backend}"]}}]
authentication: {{keys: {{api_key: {{header: x-api-key, keys: {{one: "sha256:{digest}"}}}}}}}}
node_groups:
  - {{name: birds, nodes: {{ids: [bird]}}, listeners: [bird]}}
  - {{name: plains, nodes: {{ids: [plain]}}, listeners: [plain]}}
routes: [{{match: {{path_prefix: /}}, upstream: echo, authenticate: [keys]}}]
{canary}"""


async def until(ports: tuple[int, int], key: str, expected: tuple[int, int]) -> None:
    """Wait until both answer requests with ``key`` like this."""
    seen: list[int] = []
    async with httpx.AsyncClient(timeout=5) as client:
        deadline = asyncio.get_running_loop().time() + SECONDS
        while tuple(seen) != expected:
            assert asyncio.get_running_loop().time() < deadline, f"with {key!r} not {expected} but {seen}"
            await asyncio.sleep(0.02)
            seen = [await _status(client, port, key) for port in ports]


async def until_applied(fleet: Fleet) -> None:
    """Wait until the history says that all nodes have the first document."""
    deadline = asyncio.get_running_loop().time() + SECONDS
    while [one["outcome"] for one in await fleet.revisions()] != ["applied"]:
        assert asyncio.get_running_loop().time() < deadline, await fleet.revisions()
        await asyncio.sleep(0.05)


async def until_held(fleet: Fleet) -> None:
    """Wait until both nodes are back, and the canary's has what it had."""
    deadline = asyncio.get_running_loop().time() + SECONDS
    while True:
        groups = {group["name"]: group for group in (await fleet.client.get("/api/v1/rollout")).json()["groups"]}
        birds = groups.get("birds", {}).get("canary") or {}
        nodes = (await fleet.client.get("/api/v1/nodes", params={"connected": True})).json()
        if birds.get("nodes") == ["bird"] and birds["phase"] == "holding" and "plain" in [one["id"] for one in nodes]:
            return
        assert asyncio.get_running_loop().time() < deadline, (groups, nodes)
        await asyncio.sleep(0.05)


async def _status(client: httpx.AsyncClient, port: int, key: str) -> int:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/", headers={"x-api-key": key})).status_code
    except httpx.TransportError:
        return 0


async def test_each_node_is_decided_for_by_its_own_policy() -> None:
    """The canary's node takes the new key only and the other the old one only, whatever is restarted meanwhile."""
    ports = (free_port(), free_port())
    canary = "rollout: {canary: {nodes: {ids: [bird]}, hold: 10m}}\n"
    async with AsyncExitStack() as stack:
        echo, folder = stack.enter_context(running_echo()), stack.enter_context(short_folder())
        fleet = Fleet(folder, redis_url=stack.enter_context(running_valkey()).url)
        fleet.write(document(ports, echo.port, "old"))
        await stack.enter_async_context(fleet.client)
        await asyncio.to_thread(stack.enter_context, fleet)
        for name in ("bird", "plain"):
            await asyncio.to_thread(stack.enter_context, fleet.envoy(name))
        await until(ports, "old", (200, 200))
        await until_applied(fleet)
        fleet.write(document(ports, echo.port, "new", canary=canary))
        await until(ports, "new", (200, 401))
        await until(ports, "old", (401, 200))
        for part in (fleet.ext_authz, fleet.control_plane):
            part.kill()
            part.start()
            await asyncio.to_thread(part.until_ready)
        await until_held(fleet)
        await until(ports, "new", (200, 401))
        await until(ports, "old", (401, 200))
        (await fleet.client.post("/api/v1/rollout/promote")).raise_for_status()
        await until(ports, "new", (200, 200))
        await until(ports, "old", (401, 401))
