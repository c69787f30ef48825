"""The whole of ext_authz in one process of a test: a policy, a Unix socket, and a raw client for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from prometheus_client import CollectorRegistry, generate_latest

from ext_authz.app import MAX_CONCURRENT_CHECKS, Parts, assemble
from servicekit.contracts import AuthPolicy
from servicekit.grpc_server import REQUEST_SERVER_OPTIONS

METHOD = "/envoy.service.auth.v3.Authorization/Check"


def check_request(headers: Mapping[str, str], rule: str) -> CheckRequest:
    """What Envoy would send."""
    request = CheckRequest()
    request.attributes.request.http.headers.update(headers)
    request.attributes.request.http.path = "/api/x"
    request.attributes.context_extensions["rule"] = rule
    return request


@dataclass
class Authz:
    """A running service and a client of it."""

    parts: Parts
    registry: CollectorRegistry
    channel: grpc.aio.Channel

    async def check(self, headers: Mapping[str, str], rule: str, *, deadline: float = 5) -> CheckResponse:
        """One call over the socket."""
        call: Any = self.channel.unary_unary(
            METHOD, request_serializer=CheckRequest.SerializeToString, response_deserializer=CheckResponse.FromString
        )
        return await call(check_request(headers, rule), timeout=deadline)

    def metrics(self) -> str:
        """The page."""
        return generate_latest(self.registry).decode()

    async def until(self, headers: Mapping[str, str], rule: str, status: int, *, seconds: float = 5) -> CheckResponse:
        """Ask until the answer has ``status`` (200 for yes)."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await self.check(headers, rule)
            if http_status(answer) == status:
                return answer
            assert time.monotonic() < deadline, f"not {status} within {seconds} s, but {http_status(answer)}"
            await asyncio.sleep(0.02)


def http_status(answer: CheckResponse) -> int:
    """What the client of Envoy would see: 200 stands for being let through."""
    if answer.HasField("ok_response"):
        return 200
    which: str = answer.WhichOneof("http_response")
    return int(getattr(answer, which).status.code)


@asynccontextmanager
async def running_authz(folder: Path, policy: AuthPolicy | None = None) -> AsyncIterator[Authz]:
    """Serve ``policy`` on ``folder/ext_authz.sock``, with the refreshing of keys in the background."""
    registry = CollectorRegistry()
    parts = assemble(registry=registry, cache_entries=1000)
    if policy is not None:
        parts.enforcer.apply(policy)
    server = grpc.aio.server(options=REQUEST_SERVER_OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT_CHECKS)
    server.add_generic_rpc_handlers((parts.service.handler(),))
    address = f"unix:{folder / 'ext_authz.sock'}"
    server.add_insecure_port(address)
    await server.start()
    keys = asyncio.create_task(parts.keys.run())
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Authz(parts, registry, channel)
    finally:
        keys.cancel()
        await asyncio.gather(keys, return_exceptions=True)
        await server.stop(None)
        await parts.fetcher.aclose()
