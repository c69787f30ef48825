"""Shares of a limit: real Envoys that count by themselves, and services that lease them what they may let through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import httpx
import pytest
from envoy.service.rate_limit_quota.v3.rlqs_pb2_grpc import add_RateLimitQuotaServiceServicer_to_server
from google.protobuf.any_pb2 import Any
from pydantic import SecretStr

from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from ratelimit_service.policy import PolicyBook
from ratelimit_service.quota.board import QuotaBoard
from ratelimit_service.quota.book import QuotaBook
from ratelimit_service.quota.service import QuotaService
from servicekit.contracts import LimitPolicy
from servicekit.redis_client import redis_client
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.ports import free_port
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import policy_of

pytestmark = pytest.mark.timeout(90)

BURST = 60
BEFORE = 25
"""Requests that may pass while the first share is on its way."""


def document(port: int, backend: int) -> str:
    """Sixty an hour for all routes that name it, ten for each of others, and a limit of no whole seconds."""
    return f"""
listeners: [{{name: http, port: {port}}}]
upstreams: [{{name: app, endpoints: ["http://127.0.0.1:{backend}"]}}]
rate_limits:
  together: {{by: everyone, enforce: quota, requests: {BURST}, per: 1h}}
  each: {{by: route, enforce: quota, requests: 10, per: 1h}}
  odd: {{by: everyone, enforce: quota, requests: 40, per: 1.999s, burst: 1}}
routes:
  - {{match: {{path: /a}}, upstream: app, rate_limits: [together]}}
  - {{match: {{path: /b}}, upstream: app, rate_limits: [together]}}
  - {{name: c, match: {{path: /c}}, upstream: app, rate_limits: [each]}}
  - {{name: d, match: {{path: /d}}, respond: {{status: 200, body: fine}}, rate_limits: [each]}}
  - {{match: {{path: /odd}}, upstream: app, rate_limits: [odd]}}
  - {{match: {{path: /free}}, upstream: app}}
"""


class Service:
    """What leases shares, on a socket; it can be stopped and started."""

    def __init__(self, policy: PolicyBook, valkey: Valkey, socket: Path) -> None:
        self.policy = policy
        self.valkey = valkey
        self.socket = socket
        self.book = QuotaBook(find=policy.find, clock=time.monotonic)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[QuotaService]:
        """While the block runs."""
        self.book = QuotaBook(find=self.policy.find, clock=time.monotonic)
        quotas = QuotaService(book=self.book, serves=lambda: True)
        client = redis_client(SecretStr(self.valkey.url), deadline=2)
        board = QuotaBoard(client=client, book=self.book, changed=quotas.tell)
        server = grpc.aio.server()
        add_RateLimitQuotaServiceServicer_to_server(quotas, server)
        server.add_insecure_port(f"unix:{self.socket}")
        await server.start()
        task = asyncio.create_task(board.run())
        try:
            yield quotas
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.stop(0)
            await board.aclose()


@dataclass(frozen=True, slots=True)
class Edge:
    """An Envoy and the service that it asks."""

    service: Service
    client: httpx.AsyncClient
    app: Echo

    async def passed(self, path: str, most: int) -> int:
        """How many requests pass until one is refused."""
        for number in range(most):
            answer = await self.client.get(path)
            if answer.status_code == 429:
                return number
            assert answer.status_code == 200
        return most


@asynccontextmanager
async def edge(valkey: Valkey) -> AsyncIterator[Edge]:
    """An Envoy whose service is not there yet."""
    with ExitStack() as stack:
        folder, app = stack.enter_context(short_folder()), stack.enter_context(running_echo())
        port = free_port()
        gateway = resolve(load_document(document(port, app.port).encode(), origin="g"), listen_address="127.0.0.1")
        release = translate_release(gateway)
        (resource,) = release.services.of_type(LimitPolicy.TYPE_URL).values()
        policy = policy_of(*LimitPolicy.decode(Any.FromString(resource.body).value).limits)
        settings = envoy_settings(folder)
        bootstrap = static_bootstrap(release.groups["edge"], settings)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            stack.enter_context(running_envoy(bootstrap, settings, folder=folder))
            yield Edge(Service(policy, valkey, folder / "ratelimit.sock"), client, app)


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        await asyncio.sleep(0.01)


async def test_one_envoy_counts_by_itself(valkey: Valkey) -> None:
    """All of the limit, of all routes together or of each, with nobody asked; the mark stays inside."""
    async with edge(valkey) as one, one.service.serving():
        said = {"x-gateway-quota": "each route c"}
        assert (await one.client.get("/free", headers=said)).status_code == 200
        assert (await one.client.get("/a", headers=said)).status_code == 200
        await until(lambda: len(one.service.book) == 1)
        passed = 1 + await one.passed("/a", 200)
        assert BURST <= passed <= BURST + BEFORE
        refused = await one.client.get("/b")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["type"] == "urn:gateway:problem:too_many_requests"
        assert 10 <= await one.passed("/c", 100) <= 10 + BEFORE
        assert 10 <= await one.passed("/d", 100) <= 10 + BEFORE
        assert await one.passed("/free", 100) == 100
        assert not [request for request in one.app.requests if "x-gateway-quota" in request["headers"]]


async def test_two_envoys_share_and_go_on_without_the_services(valkey: Valkey) -> None:
    """Each at a service of its own: the second has half, and together they let the limit through and one share more.
    When both services are gone nobody gets anything new; when they are back, so are the Envoys."""
    async with edge(valkey) as one, edge(valkey) as two, AsyncExitStack() as services:
        for each in (one, two):
            await services.enter_async_context(each.service.serving())
        first = await one.passed("/a", 1)
        await until(lambda: len(one.service.book) == 1)
        await until(lambda: _shares(one) == [10_000])
        first += await one.passed("/a", BURST // 2 - 1)
        assert first == BURST // 2, "half of it is left"
        second = await two.passed("/a", 1)
        await until(lambda: len(two.service.book) == 1)
        await until(lambda: _shares(one) == _shares(two) == [5_000])
        second += await two.passed("/a", 200)
        first += await one.passed("/a", 200)
        assert second <= BURST // 2 + BEFORE
        assert first + second <= BURST + BURST // 2 + BEFORE, "a new one begins with a full share"
        await services.aclose()
        assert [await each.passed("/a", 20) for each in (one, two)] == [0, 0]
        async with one.service.serving(), two.service.serving():
            await until(lambda: len(one.service.book) == len(two.service.book) == 1)
            assert [await each.passed("/a", 20) for each in (one, two)] == [0, 0]


async def test_parts_of_seconds_count(valkey: Valkey) -> None:
    """Envoy leaves them out of what it is told, and would let twice the limit through."""
    async with edge(valkey) as one, one.service.serving():
        await until_refused(one, "/odd")
        began, passed = time.monotonic(), 0
        while (took := time.monotonic() - began) < 2.5:
            passed += (await one.client.get("/odd")).status_code == 200
        assert passed <= took * 40 / 1.999 + 3


async def until_refused(one: Edge, path: str) -> None:
    """Use up what there is."""
    assert await one.passed(path, 1) == 1
    await until(lambda: len(one.service.book) == 1)
    assert await one.passed(path, 1000) < 1000


def _shares(edge: Edge) -> list[int]:
    return [held.parts for pool in edge.service.book._pools.values() for held in pool.here.values()]


async def test_who_stops_ends_its_streams(valkey: Valkey) -> None:
    """Within a second, instead of waiting for them; the Envoy goes on with its share."""
    async with edge(valkey) as one, one.service.serving() as quotas:
        await one.passed("/a", 1)
        await until(lambda: _shares(one) == [10_000])
        assert len(quotas) == 1
        quotas.end_when(lambda: True)
        await until(lambda: len(quotas) == 0, seconds=10)
        assert await one.passed("/a", 200) <= BURST


async def test_without_a_service_all_pass(valkey: Valkey) -> None:
    """As with the other limits; and what was counted meanwhile is in its first report."""
    async with edge(valkey) as one:
        assert await one.passed("/a", 2 * BURST) == 2 * BURST
        async with one.service.serving():
            await until(lambda: _shares(one) == [10_000])
            assert await one.passed("/a", 200) <= BURST + BEFORE
