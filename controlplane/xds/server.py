"""The gRPC edge of the discovery services. Only the modules that serve gRPC import it."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import grpc
import grpc.aio
import structlog
from prometheus_client import CollectorRegistry

from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache, Watcher
from controlplane.xds.connection import Connection, Request
from controlplane.xds.errors import NoGroupError, ProtocolError, XdsError
from controlplane.xds.ledger import Client, Ledger
from controlplane.xds.messages import Node, Response
from controlplane.xds.metrics import XdsMetrics
from controlplane.xds.peers import identities, is_private
from controlplane.xds.refusals import Refusals
from controlplane.xds.secrets import SecretGuard
from controlplane.xds.services import Method, methods
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Limits, Shared, StreamState
from controlplane.xds.subscription import Answer
from controlplane.xds.wire import encode, encode_control_plane, parse_delta, parse_sotw

_log = structlog.get_logger(__name__)

_WHOLE = (types.LISTENER, types.CLUSTER)
"""Types of which a state-of-the-world response is all that there is."""

SERVER_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),  # a reconnecting node lists all that it has
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),  # streams are quiet for hours; pings keep them up
    ("grpc.server.max_pending_requests", 10_000),  # after a restart all streams come at once; our own limit says no
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    ("grpc.so_reuseport", 0),  # two control planes on one port would each get half of the nodes
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


Place = Callable[[Node, frozenset[str], str], str | None]
"""Which group's snapshot a client gets, by its node, the identities that its certificate proves, and the type that it
asks for first; ``None`` refuses it."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Stream:
    """One stream, and what it was placed by."""

    client: Client
    connection: Connection
    identities: frozenset[str]
    first_type: str
    watcher: Watcher
    end_watch: Callable[[], None]
    refused: bool = False


class XdsServer:
    """Serves a :class:`SnapshotCache` over every discovery service, in both variants.

    Args:
        place: which group's snapshot a client gets. When its answers change, call :meth:`regroup`.
        identifier: names this replica in every response (``control_plane.identifier``).
    """

    def __init__(
        self,
        *,
        cache: SnapshotCache,
        ledger: Ledger,
        place: Place,
        identifier: str,
        registry: CollectorRegistry,
        limits: ServerLimits | None = None,
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        self._place = place
        self._control_plane = encode_control_plane(identifier)
        self._limits = limits or ServerLimits()
        self._shared = Shared()
        self._metrics = XdsMetrics(registry)
        self._admitted = 0
        self._streams: set[_Stream] = set()
        self._draining = False
        self._refusals = Refusals()
        self._guard = SecretGuard()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register every method with ``server``."""
        handlers: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for method in methods():
            # Without serializers requests and responses are the bytes themselves.
            handlers[method.service][method.name] = grpc.stream_stream_rpc_method_handler(partial(self._serve, method))
        server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(name, by_name) for name, by_name in handlers.items())
        )

    def remember(self, snapshots: Sequence[Snapshot]) -> None:
        """Know what a client has that says to have one of these: sent before a restart, or by another server.

        In state of the world a client says only a version; what that held can't be asked for. Without it, what has gone
        since would be taken from the client before its routes change.

        Args:
            snapshots: of one group, newest first. On the way from one to the next what was leaving was still sent, and
                the version of such a union says what it is made of.
        """
        for snapshot in reversed(snapshots):
            for type_url in _WHOLE:
                self._shared.differ.remember(snapshot.set_of(type_url))

    def drain(self) -> None:
        """End every stream, each between two responses, and take no new ones: clients go to another replica."""
        self._draining = True
        for stream in self._streams:
            stream.connection.end()

    def regroup(self) -> None:
        """Let every client have what its group has now; end the streams of those that no group takes any more.

        A stream that goes on is not told of it: it only aims at another snapshot.
        """
        for stream in tuple(self._streams):
            client = stream.client
            group = self._place(client.node, stream.identities, stream.first_type)
            if group is None:
                stream.refused = True
                stream.connection.end()
            elif group != client.group:
                stream.end_watch()
                client.group = group
                stream.end_watch = self._cache.watch(group, stream.watcher)
        self._ledger.touched()

    async def _serve(self, method: Method, _requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
        if self._draining or self._admitted >= self._limits.streams:
            self._metrics.turned_away("draining" if self._draining else "full")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not taking streams now; try again")
        self._admit(1)
        try:
            await self._stream(method, context)
        except NoGroupError as error:
            self._metrics.turned_away("no group")
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except XdsError as error:
            _log.warning("an xDS stream was ended for what it sent", peer=context.peer(), reason=str(error))
            self._metrics.turned_away("protocol")
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            self._metrics.turned_away("slow")
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")
        finally:
            self._admit(-1)

    def _admit(self, count: int) -> None:
        self._admitted += count
        self._metrics.streams.set(self._admitted)

    async def _stream(self, method: Method, context: grpc.aio.ServicerContext) -> None:
        async with asyncio.timeout(self._limits.first_request_seconds):
            node, first = await _read(method, context, with_node=True)
        if first is None:
            return
        stream = self._placed(method, context, node or Node(), first)
        self._ledger.connected(stream.client)
        self._streams.add(stream)
        try:
            await context.send_initial_metadata(())  # a client with everything would hear nothing for hours
            await stream.connection.run(first)
        finally:
            self._streams.discard(stream)
            stream.end_watch()
            self._ledger.disconnected(stream.client)
        if stream.refused:
            raise self._refusal(stream.client.node, stream.identities)

    def _placed(self, method: Method, context: grpc.aio.ServicerContext, node: Node, first: Request) -> _Stream:
        proven = identities(context.auth_context())
        group = self._place(node, proven, first.type_url)
        if group is None:
            raise self._refusal(node, proven)
        self._refusals.is_over(node.id)
        client = self._client(node, group, context.peer(), aggregated=method.type_url is None)
        connection = self._connection(method, context, client)
        private = is_private(context.peer(), context.auth_context())
        watcher = connection.aim if private else partial(self._aim_without_secrets, connection)
        return _Stream(
            client=client,
            connection=connection,
            identities=proven,
            first_type=first.type_url,
            watcher=watcher,
            end_watch=self._cache.watch(group, watcher),
        )

    def _refusal(self, node: Node, proven: frozenset[str]) -> NoGroupError:
        if self._refusals.is_news(node.id, time.monotonic()):
            _log.warning("no node group takes this node", node=node.id, cluster=node.cluster, identities=sorted(proven))
        return NoGroupError("no node group takes this node")

    def _aim_without_secrets(self, connection: Connection, snapshot: Snapshot | None) -> None:
        connection.aim(self._guard.without_secrets(snapshot))

    def _client(self, node: Node, group: str, peer: str, *, aggregated: bool) -> Client:
        state = StreamState(
            # Random, so that a nonce of another stream, or of a server before this one, answers nothing.
            nonce_prefix=f"{secrets.token_hex(4)}.",
            aggregated=aggregated,
            shared=self._shared,
            limits=self._limits.client,
            features=node.features,
        )
        return Client(node=node, group=group, peer=peer, connected_at=time.time(), state=state)

    def _connection(self, method: Method, context: grpc.aio.ServicerContext, client: Client) -> Connection:
        async def read() -> Request | None:
            _, request = await _read(method, context, with_node=False)
            return request

        async def write(response: Response) -> None:
            data = encode(response, self._control_plane)
            await context.write(data)
            self._metrics.sent(response, len(data))
            self._ledger.touched()

        return Connection(
            state=client.state,
            read=read,
            write=write,
            taken=partial(self._taken, client),
            ends_after=self._limits.stream_age * random.uniform(0.9, 1.1),  # noqa: S311  spreads load; nothing secret
            write_seconds=self._limits.write_seconds,
        )

    def _taken(self, client: Client, request: Request, answer: Answer | None) -> None:
        self._ledger.touched()
        if answer is None:
            return
        self._metrics.answered(request.type_url, accepted=answer.accepted)
        if not answer.accepted:
            _log.error(
                "a client refused a configuration",
                node=client.node.id,
                group=client.group,
                type=request.type_url,
                version=answer.outstanding.version,
                reason=request.error,
            )


class Drains(Protocol):
    """Something that serves streams."""

    def drain(self) -> None:
        """End every stream and take no new ones."""


class DrainingServer:
    """A gRPC server whose streams end by themselves before it stops, instead of being cut off at its deadline."""

    def __init__(self, server: grpc.aio.Server, *services: Drains) -> None:
        self._server = server
        self._services = services

    async def start(self) -> None:
        """Listen."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """End the streams and stop; what is still open after ``grace`` seconds is cut off."""
        for service in self._services:
            service.drain()
        await self._server.stop(grace)


async def _read(
    method: Method, context: grpc.aio.ServicerContext, *, with_node: bool
) -> tuple[Node | None, Request | None]:
    data = await context.read()
    if data is grpc.aio.EOF:
        return None, None
    parse = parse_delta if method.delta else parse_sotw
    node, request = parse(data, with_node=with_node)
    if method.type_url is not None and not request.type_url:
        request = replace(request, type_url=method.type_url)
    if not request.type_url:
        raise ProtocolError("a request that names no type")
    if method.type_url not in (None, request.type_url):
        raise ProtocolError(f"{request.type_url} on a stream for {method.type_url}")
    return node, request
