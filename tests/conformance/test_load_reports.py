"""Load reports over real streams: who may, when nodes are asked, and what rubbish does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest, LoadStatsResponse

from controlplane.xds.load_book import Load
from controlplane.xds.snapshot import EMPTY
from tests.harness.rollouts import RolloutPlane, running_rollout
from tests.harness.xds import eventually

METHOD = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"


@asynccontextmanager
async def reporting(plane: RolloutPlane, first: bytes) -> AsyncIterator[Any]:
    """A stream that begins with ``first``."""
    async with grpc.aio.insecure_channel(str(plane.address), [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.stream_stream(METHOD)()
        await call.write(first)
        try:
            yield call
        finally:
            call.cancel()


def report(node: str = "a", group: str = "edge", **clusters: tuple[float, int, int]) -> bytes:
    """Seconds, successes and failures by cluster, with ``_`` for a dot."""
    message = LoadStatsRequest()
    message.node.id, message.node.cluster = node, group
    for name, (seconds, succeeded, failed) in clusters.items():
        stats = message.cluster_stats.add(cluster_name=name.replace("_", "."))
        stats.load_report_interval.FromMilliseconds(round(seconds * 1000))
        place = stats.upstream_locality_stats.add()
        place.total_successful_requests, place.total_error_requests = succeeded, failed
    encoded: bytes = message.SerializeToString()
    return encoded


async def end(call: Any) -> grpc.StatusCode:
    """How the stream ends; it does not before all that was sent has been read."""
    try:
        async with asyncio.timeout(10):
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_node_is_asked_only_while_somebody_watches() -> None:
    """For all clusters, as often as the watch needs; what the gateway itself sends does not count."""
    async with running_rollout(load_interval=5) as plane:
        await plane.publish({"edge": EMPTY})
        async with reporting(plane, report()) as call:
            await call.initial_metadata()
            since = plane.loads.watch(10)
            asked = LoadStatsResponse.FromString(await call.read())
            assert asked.send_all_clusters
            assert asked.load_reporting_interval.ToMilliseconds() == 2000
            await call.write(report(new=(0, 3, 1), gateway_ext=(0, 50, 50), old=(60, 100, 0)))
            await eventually(lambda: plane.loads.since(since, ["a"]).total, "the report is there")
            assert plane.loads.since(since, ["a", "b"]) == Load(3, 1), "what began before the watch is left out"
            plane.loads.ignore()
            asked = LoadStatsResponse.FromString(await call.read())
            assert not asked.send_all_clusters
            assert not asked.clusters
            assert asked.load_reporting_interval.ToSeconds() > 3600
            assert plane.loads.since(since, ["a"]) == Load()


async def test_a_node_that_no_group_takes_may_not_report() -> None:
    """Neither at once, nor when groups change while it is connected."""
    async with running_rollout() as plane:
        await plane.publish({"edge": EMPTY, "side": EMPTY})
        async with reporting(plane, report(group="other")) as call:
            assert await end(call) is grpc.StatusCode.PERMISSION_DENIED
        async with reporting(plane, report(group="side")) as call:
            await call.initial_metadata()
            await plane.publish({"edge": EMPTY})
            await call.write(report(group="side"))
            assert await end(call) is grpc.StatusCode.PERMISSION_DENIED


async def test_rubbish_ends_only_the_stream_that_sends_it() -> None:
    """Bytes that are no report; numbers that no clock has are taken for zero."""
    async with running_rollout() as plane:
        await plane.publish({"edge": EMPTY})
        since = plane.loads.watch(10)
        async with reporting(plane, b"\xff\xff") as call:
            assert await end(call) is grpc.StatusCode.INVALID_ARGUMENT
        async with reporting(plane, report()) as call, reporting(plane, report("b")) as other:
            await call.write(report(up=(-5, 1, 0)))
            await call.write(b"\xff\xff")
            assert await end(call) is grpc.StatusCode.INVALID_ARGUMENT
            await other.write(report("b", up=(0, 1, 1)))
            await eventually(lambda: plane.loads.since(since, ["b"]).total, "the other goes on")
            assert plane.loads.since(since, ["a"]) == Load(1, 0)


async def test_streams_end_when_the_server_drains() -> None:
    """In order, long before they would be cut off."""
    async with running_rollout() as plane:
        await plane.publish({"edge": EMPTY})
        async with reporting(plane, report()) as call:
            await call.initial_metadata()
            await plane.server.stop(5)
            assert await end(call) is grpc.StatusCode.OK
