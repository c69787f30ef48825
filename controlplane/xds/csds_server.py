"""The client status discovery service (``envoy.service.status.v3``): who has what, for whoever may know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final

import grpc
import grpc.aio
from envoy.service.status.v3.csds_pb2 import ClientConfig, ClientStatusRequest, ClientStatusResponse
from google.protobuf.message import DecodeError

from controlplane.xds.csds import client_configs
from controlplane.xds.errors import WireError, XdsError
from controlplane.xds.instances import streams_by_client
from controlplane.xds.ledger import Ledger
from controlplane.xds.node_matchers import any_of
from controlplane.xds.peers import SECURITY, Properties, identities
from controlplane.xds.subscription import MAX_RESPONSE_BYTES

_SERVICE: Final = "envoy.service.status.v3.ClientStatusDiscoveryService"
_MOST_STREAMS: Final = 16
_FRAMING: Final = 16
"""More bytes than a tag and a length take."""


class TooLargeError(XdsError):
    """An answer does not go into one message."""


class CsdsServer:
    """Tells what every client of this replica has.

    That is the whole configuration, so not every node may know it: over a Unix socket or loopback without TLS whoever
    gets there may, over TLS those whose certificate proves one of ``readers``, and nobody else.

    Args:
        ledger: who is connected.
        readers: subject alternative names.
        most_bytes: of one response. A stream's answer is split; one that can't be is told without resources, or not at
            all.
        write_seconds: how long a client may take to read one response.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        readers: Collection[str],
        most_bytes: int = MAX_RESPONSE_BYTES,
        write_seconds: float = 30.0,
    ) -> None:
        self._ledger = ledger
        self._readers = frozenset(readers)
        self._most_bytes = most_bytes
        self._write_seconds = write_seconds
        self._streams: set[asyncio.Task[None]] = set()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register both methods with ``server``."""
        # Without deserializers requests are bytes: what is none is our error and not the server's.
        handlers = {
            "FetchClientStatus": grpc.unary_unary_rpc_method_handler(self._fetch),
            "StreamClientStatus": grpc.stream_stream_rpc_method_handler(self._stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))

    def drain(self) -> None:
        """End every stream."""
        for task in self._streams:
            task.cancel()

    async def _fetch(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await self._authorise(context)
        try:
            return await self._whole(_parse(data))
        except TooLargeError as error:
            code, reason = grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)
        except XdsError as error:
            code, reason = grpc.StatusCode.INVALID_ARGUMENT, str(error)
        await context.abort(code, reason)
        return b""  # never: that has raised

    async def _whole(self, request: ClientStatusRequest) -> bytes:
        """All in one message: with the resources, or else without."""
        for exclude in (request.exclude_resource_contents, True):
            request.exclude_resource_contents = exclude
            responses = []
            async for response in self._answers(request):
                responses.append(response)
                if len(responses) > 1:
                    break
            else:
                return responses[0]
        raise TooLargeError("more than one message holds: name the nodes that are meant (node_matchers), or stream")

    async def _stream(self, _requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
        await self._authorise(context)
        if len(self._streams) >= _MOST_STREAMS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {_MOST_STREAMS} streams")
        task = asyncio.create_task(self._serve(context), name="client status")
        self._streams.add(task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            self._streams.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, TimeoutError):
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")
        if isinstance(error, XdsError):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        task.result()

    async def _serve(self, context: grpc.aio.ServicerContext) -> None:
        """Answer each request with as many responses as it takes, the last of which is not full."""
        while (data := await context.read()) is not grpc.aio.EOF:
            async for response in self._answers(_parse(data)):
                async with asyncio.timeout(self._write_seconds):
                    await context.write(response)

    async def _answers(self, request: ClientStatusRequest) -> AsyncIterator[bytes]:
        """Responses of at most ``most_bytes``; at least one."""
        response, size = ClientStatusResponse(), 0
        async for config, is_first in self._configs(request):
            length = config.ByteSize() + _FRAMING
            if size + length > self._most_bytes and response.config:
                yield response.SerializeToString()
                response, size = ClientStatusResponse(), 0
            if is_first or not response.config:
                response.config.append(config)
            else:
                response.config[-1].generic_xds_configs.extend(config.generic_xds_configs)
            size += length
        yield response.SerializeToString()

    async def _configs(self, request: ClientStatusRequest) -> AsyncIterator[tuple[ClientConfig, bool]]:
        """Client by client, with others' turns between; whether it is the first piece of a client."""
        means = any_of(request.node_matchers)
        for streams in list(streams_by_client(self._ledger).values()):
            if means(streams[0].node):
                await asyncio.sleep(0)
                pieces = client_configs(
                    streams,
                    epoch_offset=self._ledger.epoch_offset,
                    with_bodies=not request.exclude_resource_contents,
                    most_bytes=self._most_bytes // 8,
                )
                for count, config in enumerate(pieces):
                    yield config, count == 0

    async def _authorise(self, context: grpc.aio.ServicerContext) -> None:
        if not may_read(context.peer(), context.auth_context(), self._readers):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for this client")


def may_read(peer: str, properties: Properties, readers: Collection[str]) -> bool:
    """Whether a client may know what others have; see :class:`CsdsServer`."""
    if b"ssl" in properties.get(SECURITY, ()):
        return not identities(properties).isdisjoint(readers)
    return peer.startswith(("unix:", "ipv4:127.", "ipv6:[::1]:", "ipv6:%5B::1%5D:"))


def _parse(data: bytes) -> ClientStatusRequest:
    try:
        return ClientStatusRequest.FromString(data)
    except DecodeError as error:
        raise WireError(f"not a ClientStatusRequest: {error}") from None
