"""The gRPC edge of the xDS server; the only module of the package that imports grpc."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import grpc
import grpc.aio
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from controlplane.xds.cache import SnapshotCache
from controlplane.xds.errors import XdsError
from controlplane.xds.ledger import Client, Ledger
from controlplane.xds.messages import DeltaRequest, Node, SotwRequest
from controlplane.xds.services import Method, methods
from controlplane.xds.stream import Limits, Shared, StreamState
from controlplane.xds.wire import encode, encode_control_plane, parse_delta, parse_sotw

_log = structlog.get_logger(__name__)

SERVER_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),  # a reconnecting node lists all that it has
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds of the server."""

    streams: int = 10_000
    """Streams at a time; further ones are told to try again (``UNAVAILABLE``)."""
    stream_age: float = 3600.0
    """Seconds after which a stream is ended, give or take a tenth, so that clients spread over replicas."""
    write_seconds: float = 30.0
    """How long a client may take to read one response."""
    first_request_seconds: float = 10.0
    """How long a client may take to say who it is."""
    client: Limits = field(default_factory=Limits)


class XdsServer:
    """Serves a :class:`SnapshotCache` over every discovery service, in both variants.

    Args:
        group_of: which group's snapshot a node gets.
        identifier: names this replica in every response (``control_plane.identifier``).
    """

    def __init__(
        self,
        *,
        cache: SnapshotCache,
        ledger: Ledger,
        group_of: Callable[[Node], str],
        identifier: str,
        registry: CollectorRegistry,
        limits: ServerLimits | None = None,
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        self._group_of = group_of
        self._control_plane = encode_control_plane(identifier)
        self._limits = limits or ServerLimits()
        self._shared = Shared()
        self._open = 0
        self._streams = Gauge("gateway_xds_streams", "Streams that are open now.", registry=registry)
        self._responses = Counter("gateway_xds_responses", "Responses sent.", ["type"], registry=registry)
        self._answers = Counter("gateway_xds_answers", "What clients said.", ["type", "answer"], registry=registry)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register every method with ``server``."""
        handlers: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for method in methods():
            handlers[method.service][method.name] = grpc.stream_stream_rpc_method_handler(partial(self._serve, method))
        server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(name, by_name) for name, by_name in handlers.items())
        )

    async def _serve(self, method: Method, _requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
        if self._open >= self._limits.streams:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "too many streams; try again")
        self._open += 1
        self._streams.set(self._open)
        try:
            await self._stream(method, context)
        except XdsError as error:
            _log.warning("an xDS stream was ended for what it sent", peer=context.peer(), reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")
        finally:
            self._open -= 1
            self._streams.set(self._open)

    async def _stream(self, method: Method, context: grpc.aio.ServicerContext) -> None:
        # Random, so that a nonce of another stream, or of a server before this one, answers nothing.
        state = StreamState(nonce_prefix=f"{secrets.token_hex(4)}.", shared=self._shared, limits=self._limits.client)
        async with asyncio.timeout(self._limits.first_request_seconds):
            node, first = self._parse(method, await context.read())
        if first is None:
            return
        client = Client(
            node=node or Node(),
            group=self._group_of(node or Node()),
            peer=context.peer(),
            connected_at=time.time(),
            state=state,
        )
        conversation = _Conversation(wake=asyncio.Event())

        def aim(snapshot: Any) -> None:
            state.aim(snapshot)
            conversation.wake.set()

        end_watch = self._cache.watch(client.group, aim)
        self._ledger.connected(client)
        try:
            self._take(state, first)
            await self._converse(method, context, state, conversation)
        finally:
            end_watch()
            self._ledger.disconnected(client)

    async def _converse(
        self, method: Method, context: grpc.aio.ServicerContext, state: StreamState, conversation: _Conversation
    ) -> None:
        listening = asyncio.create_task(self._listen(method, context, state, conversation), name="xds reader")
        ends_at = time.monotonic() + self._limits.stream_age * random.uniform(0.9, 1.1)  # noqa: S311  spreads load
        try:
            while not listening.done() and time.monotonic() < ends_at:
                conversation.wake.clear()
                await self._send_all(context, state)
                wake_at = min(ends_at, state.wake_at or ends_at)
                try:
                    async with asyncio.timeout(max(0.0, wake_at - time.monotonic())):
                        await conversation.wake.wait()
                except TimeoutError:
                    continue
            if listening.done():
                listening.result()
        finally:
            listening.cancel()

    async def _listen(
        self, method: Method, context: grpc.aio.ServicerContext, state: StreamState, conversation: _Conversation
    ) -> None:
        try:
            while True:
                _, request = self._parse(method, await context.read())
                if request is None:
                    return
                self._take(state, request)
                conversation.wake.set()
        finally:
            conversation.wake.set()

    async def _send_all(self, context: grpc.aio.ServicerContext, state: StreamState) -> None:
        while (response := state.next_response(time.monotonic())) is not None:
            async with asyncio.timeout(self._limits.write_seconds):
                await context.write(encode(response, self._control_plane))
            self._responses.labels(response.type_url).inc()
            self._ledger.touched()

    def _take(self, state: StreamState, request: SotwRequest | DeltaRequest) -> None:
        answer = state.take(request, time.monotonic())
        if answer is not None:
            self._answers.labels(request.type_url, "ack" if answer.accepted else "nack").inc()
            if not answer.accepted:
                _log.error("a client refused a configuration", type=request.type_url, reason=request.error)
        self._ledger.touched()

    def _parse(self, method: Method, data: Any) -> tuple[Node | None, SotwRequest | DeltaRequest | None]:
        if data is grpc.aio.EOF:
            return None, None
        node, request = parse_delta(data) if method.delta else parse_sotw(data)
        if method.type_url is not None and not request.type_url:
            request = replace(request, type_url=method.type_url)
        return node, request


@dataclass(frozen=True, slots=True)
class _Conversation:
    """What reader and writer of one stream tell each other."""

    wake: asyncio.Event
