"""What a limit costs Envoy: none, one that it counts alone, a quota, and one that is asked for.

Starts a real Envoy in front of a small backend, and the services with a real Valkey. Prints Envoy's own CPU time for
each request (Linux: read from /proc) and its ratio to that of a route without a limit, measured just before and after.
Run: ``.venv/bin/python -m benchmarks.quota [seconds]``.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from envoy.service.rate_limit_quota.v3.rlqs_pb2_grpc import add_RateLimitQuotaServiceServicer_to_server
from google.protobuf.any_pb2 import Any

from benchmarks.ratelimit import cpu_seconds
from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from ratelimit_service.policy import PolicyBook
from ratelimit_service.quota.book import QuotaBook
from ratelimit_service.quota.service import QuotaService
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.service import RateLimitService
from ratelimit_service.wire import add_to_server
from servicekit.contracts import LimitPolicy
from tests.harness.envoy import envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.ports import free_port
from tests.harness.valkey import running_valkey
from tests.integration.ratelimit.rig import limiter_on, policy_of, running_store

CONNECTIONS = 16
PLENTY = 1_000_000_000
DOCUMENT = """
listeners: [{{name: http, port: {port}}}]
upstreams: [{{name: app, endpoints: ["http://127.0.0.1:{backend}"]}}]
rate_limits:
  local: {{by: everyone, enforce: local, requests: {plenty}, per: 1s}}
  quota: {{by: everyone, enforce: quota, requests: {plenty}, per: 1s}}
  asked: {{by: everyone, requests: {plenty}, per: 1s}}
routes:
  - {{match: {{path: /none}}, upstream: app}}
  - {{match: {{path: /local}}, upstream: app, rate_limits: [local]}}
  - {{match: {{path: /quota}}, upstream: app, rate_limits: [quota]}}
  - {{match: {{path: /asked}}, upstream: app, rate_limits: [asked]}}
"""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(slots=True)
class Backend:
    """Answers, and reads no more than it has to."""

    answered: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
                self.answered += 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def load(port: int, path: str, seconds: float) -> int:
    """How many requests were answered."""
    until, answered = time.perf_counter() + seconds, 0

    async def client() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
        while time.perf_counter() < until:
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(2)
            answered += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return answered


@asynccontextmanager
async def serving(store: RedisStore, policy: PolicyBook, socket: Path) -> AsyncIterator[None]:
    """Both services on one socket, as the process has them."""
    limits = RateLimitService(limiter=limiter_on(store, policy), policy=policy)
    book = QuotaBook(find=policy.find, clock=time.monotonic)
    server = grpc.aio.server()
    add_to_server(limits.ShouldRateLimit, server)
    add_RateLimitQuotaServiceServicer_to_server(QuotaService(book=book, serves=lambda: True), server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


async def main(seconds: float) -> None:
    """Print the table."""
    backend, port = Backend(), free_port()
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    document = DOCUMENT.format(port=port, backend=server.sockets[0].getsockname()[1], plenty=PLENTY)
    release = translate_release(resolve(load_document(document.encode(), origin="b"), listen_address="127.0.0.1"))
    (resource,) = release.services.of_type(LimitPolicy.TYPE_URL).values()
    policy = policy_of(*LimitPolicy.decode(Any.FromString(resource.body).value).limits)
    with ExitStack() as stack:
        folder, valkey = stack.enter_context(short_folder()), stack.enter_context(running_valkey())
        settings = envoy_settings(folder)
        async with AsyncExitStack() as services:
            store = await services.enter_async_context(running_store(valkey.url))
            await services.enter_async_context(serving(store, policy, folder / "ratelimit.sock"))
            envoy = stack.enter_context(
                running_envoy(static_bootstrap(release.groups["edge"], settings), settings, folder=folder)
            )
            print("| limit | requests/s | Envoy's CPU, µs a request | beside none |\n|---|---|---|---|")
            for name in ("local", "quota", "asked"):
                before, figures, after = [
                    await measure(envoy.process.pid, port, path, seconds) for path in ("none", name, "none")
                ]
                base = (before[1] + after[1]) / 2
                print(f"| {name} | {figures[0]:.0f} | {figures[1]:.1f} | {figures[1] / base:.2f} |")


async def measure(pid: int, port: int, path: str, seconds: float) -> tuple[float, float]:
    """Requests a second, and microseconds of Envoy's CPU for each."""
    await load(port, f"/{path}", 0.3)
    cpu = cpu_seconds(pid)
    answered = await load(port, f"/{path}", seconds)
    return answered / seconds, (cpu_seconds(pid) - cpu) / answered * 1e6


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
