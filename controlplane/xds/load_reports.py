"""The load reporting service (``envoy.service.load_stats.v3``): nodes tell how their requests end, when asked."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import grpc
import grpc.aio
import structlog
from envoy.config.endpoint.v3.load_report_pb2 import ClusterStats
from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest, LoadStatsResponse

from controlplane.xds import types
from controlplane.xds.errors import NoGroupError, WireError
from controlplane.xds.load_book import Load, LoadBook, Report
from controlplane.xds.messages import Node
from controlplane.xds.peers import identities
from controlplane.xds.wire import parse_load_stats
from servicekit.contracts.data_plane import RESERVED_PREFIX

_log = structlog.get_logger(__name__)

_SERVICE: Final = "envoy.service.load_stats.v3.LoadReportingService"
_NEVER: Final = 24 * 3600
"""Seconds until a node that is not asked any more says that it has nothing to say; zero would be at once, for ever."""

Place = Callable[[Node, frozenset[str], str], str | None]


class LoadReportServer:
    """Takes reports from the nodes that a group takes.

    A node says who it is and waits; it begins to report when the book is watched, and goes on until it is not.
    Requests to the gateway's own services are left out: they are no part of what a release changes for clients.

    Args:
        place: as for :class:`~controlplane.xds.server.XdsServer`.
        streams: at a time; further ones are told to try again.
        stream_age: seconds after which a stream is ended, give or take a tenth.
        write_seconds: how long a node may take to read one message, and to say who it is.
    """

    def __init__(
        self,
        *,
        book: LoadBook,
        place: Place,
        streams: int = 10_000,
        stream_age: float = 3600.0,
        write_seconds: float = 10.0,
    ) -> None:
        self._book = book
        self._place = place
        self._most_streams = streams
        self._stream_age = stream_age
        self._write_seconds = write_seconds
        self._streams = 0
        self._draining = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the method with ``server``."""
        # Without serializers requests and responses are the bytes themselves.
        handler = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"StreamLoadStats": handler}),))

    def drain(self) -> None:
        """End every stream and take no new ones."""
        self._draining.set()

    async def _serve(self, _requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
        if self._draining.is_set() or self._streams >= self._most_streams:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not taking streams now; try again")
        self._streams += 1
        try:
            await self._stream(context)
        except NoGroupError as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except WireError as error:
            _log.warning("a stream of load reports was ended for what it sent", peer=context.peer(), reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")
        finally:
            self._streams -= 1

    async def _stream(self, context: grpc.aio.ServicerContext) -> None:
        async with asyncio.timeout(self._write_seconds):
            data = await context.read()
        if data is grpc.aio.EOF:
            return
        node, _ = parse_load_stats(data)
        self._authorise(node, context)
        await context.send_initial_metadata(())
        reader = asyncio.create_task(self._read(node, context), name="load reports")
        try:
            await self._ask(context, reader)
        finally:
            reader.cancel()
        if reader.done() and not reader.cancelled():
            reader.result()

    async def _read(self, node: Node, context: grpc.aio.ServicerContext) -> None:
        while (data := await context.read()) is not grpc.aio.EOF:
            self._authorise(node, context)  # groups change while streams last
            _, stats = parse_load_stats(data)
            self._book.note(node.id, _reports(stats))

    async def _ask(self, context: grpc.aio.ServicerContext, reader: asyncio.Task[None]) -> None:
        """Tell the node what is wanted, and what is wanted then, until the stream is to end."""
        ends_at = time.monotonic() + self._stream_age * random.uniform(0.9, 1.1)  # noqa: S311  spreads load
        was_asked = False
        while not reader.done() and not self._draining.is_set() and (left := ends_at - time.monotonic()) > 0:
            wish, interval = self._book.next_wish, self._book.interval
            if interval is not None or was_asked:
                async with asyncio.timeout(self._write_seconds):
                    await context.write(_request(interval))
                was_asked = interval is not None
            waits = [asyncio.ensure_future(event.wait()) for event in (wish, self._draining)]
            try:
                await asyncio.wait([reader, *waits], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def _authorise(self, node: Node, context: grpc.aio.ServicerContext) -> None:
        if self._place(node, identities(context.auth_context()), types.CLUSTER) is None:
            raise NoGroupError("no node group takes this node")


def _request(interval: float | None) -> bytes:
    message = LoadStatsResponse(send_all_clusters=interval is not None)
    message.load_reporting_interval.FromMilliseconds(round(1000 * (_NEVER if interval is None else interval)))
    encoded: bytes = message.SerializeToString()
    return encoded


def _reports(stats: LoadStatsRequest) -> Iterator[Report]:
    """One for each stretch of time: a node knows some clusters for longer than others."""
    loads: dict[float, Load] = {}
    for cluster in stats.cluster_stats:
        # Most clusters of a report have nothing to tell.
        if cluster.upstream_locality_stats and not cluster.cluster_name.startswith(RESERVED_PREFIX):
            seconds = max(0.0, cluster.load_report_interval.ToMilliseconds() / 1000)
            loads[seconds] = loads.get(seconds, Load()) + _load(cluster)
    return (Report(seconds, load) for seconds, load in loads.items())


def _load(cluster: ClusterStats) -> Load:
    places = cluster.upstream_locality_stats
    return Load(
        succeeded=sum(place.total_successful_requests for place in places),
        failed=sum(place.total_error_requests for place in places),
    )
