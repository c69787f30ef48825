"""The real xDS server on a free port, and raw streams that say exactly what a test wants said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from controlplane.xds.cache import SnapshotCache
from controlplane.xds.csds_server import CsdsServer
from controlplane.xds.ledger import Ledger
from controlplane.xds.messages import Node
from controlplane.xds.server import SERVER_OPTIONS, DrainingServer, Place, ServerLimits, XdsServer
from controlplane.xds.subscription import MAX_RESPONSE_BYTES
from servicekit.address import Address
from servicekit.settings import PeerSettings
from servicekit.tls import add_port, open_channel
from tests.harness.ports import free_port

ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_SECONDS = 10.0


@dataclass(slots=True)
class XdsPlane:
    """A running server and its parts. The group of a node is what it says as its cluster."""

    address: Address
    cache: SnapshotCache
    ledger: Ledger
    registry: CollectorRegistry
    server: DrainingServer
    xds: XdsServer


@asynccontextmanager
async def running_xds(
    *,
    limits: ServerLimits | None = None,
    cache: SnapshotCache | None = None,
    address: Address | None = None,
    place: Place | None = None,
    tls_dir: Path | None = None,
    csds_readers: Collection[str] = (),
    csds_most_bytes: int = MAX_RESPONSE_BYTES,
) -> AsyncIterator[XdsPlane]:
    """A server on ``address``, or on a free port; with ``tls_dir`` it asks its clients for certificates."""
    cache, ledger, registry = cache or SnapshotCache(), Ledger(clock=time.time), CollectorRegistry()
    address = address or Address(host="127.0.0.1", port=free_port())
    xds = XdsServer(
        cache=cache, ledger=ledger, place=place or _cluster_of, identifier="replica-1", registry=registry, limits=limits
    )
    server = grpc.aio.server(options=SERVER_OPTIONS)
    xds.add_to(server)
    csds = CsdsServer(ledger=ledger, readers=csds_readers, most_bytes=csds_most_bytes)
    csds.add_to(server)
    add_port(server, address, PeerSettings(tls_dir=tls_dir))
    draining = DrainingServer(server, xds, csds)
    await draining.start()
    try:
        yield XdsPlane(address=address, cache=cache, ledger=ledger, registry=registry, server=draining, xds=xds)
    finally:
        await draining.stop(0.5)


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until ``condition`` holds; fails with ``what`` after ten seconds."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {_SECONDS} s: {what}"
        await asyncio.sleep(0.01)


async def answering(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Wait until ``ask`` gives what is wanted; fails with what it gave last after ten seconds."""
    deadline = time.monotonic() + _SECONDS
    while (seen := await ask()) != wanted:
        assert time.monotonic() < deadline, f"not within {_SECONDS} s: {wanted}, but {seen}"
        await asyncio.sleep(0.02)


def _cluster_of(node: Node, _identities: frozenset[str], _type_url: str) -> str:
    return node.cluster


@dataclass(slots=True)
class RawStream:
    """One stream of one method. Requests are what the test makes them; nothing is answered by itself."""

    call: Any
    delta: bool
    node: dict[str, str]
    _first: bool = field(default=True)

    async def send(self, type_url: str = "", **fields: Any) -> None:
        """Send a request with these fields; the first one says who asks. ``error`` is the NACK's message."""
        message: Message = (DeltaDiscoveryRequest if self.delta else DiscoveryRequest)(type_url=type_url)
        error = fields.pop("error", None)
        for name, value in fields.items():
            current = getattr(message, name)
            if isinstance(value, dict):
                current.update(value)
            elif isinstance(value, list):
                current.extend(value)
            else:
                setattr(message, name, value)
        if error is not None:
            message.error_detail.message = error  # type: ignore[attr-defined]  # of both request messages
        if self._first:
            for name, value in self.node.items():
                setattr(message.node, name, value)  # type: ignore[attr-defined]  # of both request messages
            self._first = False
        await self.send_bytes(message.SerializeToString())

    async def send_bytes(self, data: bytes) -> None:
        """Send anything."""
        await self.call.write(data)

    async def receive(self) -> Any:
        """The next response; fails after ten seconds, or with the stream's error."""
        async with asyncio.timeout(_SECONDS):
            data = await self.call.read()
        assert data is not grpc.aio.EOF, "the stream ended"
        return (DeltaDiscoveryResponse if self.delta else DiscoveryResponse).FromString(data)

    async def ack(self, response: Any, **fields: Any) -> None:
        """Acknowledge ``response``; ``error`` makes it a refusal."""
        if not self.delta and "error" not in fields:
            fields.setdefault("version_info", response.version_info)
        await self.send(response.type_url, response_nonce=response.nonce, **fields)

    async def accept(self, **fields: Any) -> Any:
        """Receive and acknowledge."""
        response = await self.receive()
        await self.ack(response, **fields)
        return response

    async def end(self) -> grpc.StatusCode:
        """Wait for the end of the stream; how it ended."""
        async with asyncio.timeout(_SECONDS):
            code: grpc.StatusCode = await self.call.code()
        return code


@asynccontextmanager
async def raw_stream(
    address: Address,
    *,
    delta: bool,
    service: str = ADS,
    method: str = "AggregatedResources",
    tls_dir: Path | None = None,
    **node: str,
) -> AsyncIterator[RawStream]:
    """A stream on a connection of its own. The node is ``test`` of the group ``edge`` unless said otherwise."""
    path = f"/{service}/{'Delta' if delta else 'Stream'}{method}"
    options: list[tuple[str, int | str]] = [("grpc.use_local_subchannel_pool", 1)]
    async with open_channel(address, PeerSettings(tls_dir=tls_dir), options) as channel:
        call = channel.stream_stream(path)()
        try:
            yield RawStream(call=call, delta=delta, node={"id": "test", "cluster": "edge"} | node)
        finally:
            call.cancel()
