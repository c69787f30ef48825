"""How streams begin and end: admission, age, draining, clients that do not read or do not speak."""

from __future__ import annotations

import time

import grpc

from controlplane.xds import types
from controlplane.xds.server import ServerLimits
from controlplane.xds.snapshot import EMPTY, Snapshot, encode_bytes
from tests.harness.xds import XdsPlane, eventually, raw_stream, running_xds

CDS = types.CLUSTER


def turned_away(plane: XdsPlane, reason: str) -> float:
    """The counter of streams that were not served, or not to their end."""
    return plane.registry.get_sample_value("gateway_xds_streams_turned_away_total", {"reason": reason}) or 0.0


def open_streams(plane: XdsPlane) -> float:
    """The gauge."""
    return plane.registry.get_sample_value("gateway_xds_streams") or 0.0


async def until_closed(plane: XdsPlane) -> None:
    """Wait until the server has no stream any more."""
    await eventually(lambda: not open_streams(plane), "no stream is open")


async def test_one_stream_too_many_is_told_to_try_again() -> None:
    """Rule 37: admission is bounded; those who are in stay."""
    async with running_xds(limits=ServerLimits(streams=1)) as plane:
        plane.cache.set("edge", EMPTY)
        async with raw_stream(plane.address, delta=True) as first:
            await first.send(CDS)
            await first.accept()
            # Says nothing: a message to a stream that is refused meanwhile may end it as the client's own failure.
            async with raw_stream(plane.address, delta=True) as second:
                assert await second.end() == grpc.StatusCode.UNAVAILABLE
            assert turned_away(plane, "full") == 1
            plane.cache.update("edge", encode_bytes("a", CDS, b""))
            await first.accept()
        await until_closed(plane)
        async with raw_stream(plane.address, delta=True) as third:
            await third.send(CDS)
            await third.accept()


async def test_a_stream_ends_when_it_is_old() -> None:
    """Rule 37: in order (``OK``), so that clients spread over replicas."""
    async with running_xds(limits=ServerLimits(stream_age=0.2)) as plane:
        plane.cache.set("edge", EMPTY)
        async with raw_stream(plane.address, delta=True) as stream:
            began = time.monotonic()
            await stream.send(CDS)
            await stream.accept()
            assert await stream.end() == grpc.StatusCode.OK
            assert time.monotonic() - began >= 0.18
        assert [ended.node.id for ended in plane.ledger.ended()] == ["test"]


async def test_a_server_that_stops_ends_its_streams_in_order() -> None:
    """Rule 37: at once, not at the end of the grace period, and without an error."""
    async with running_xds() as plane:
        plane.cache.set("edge", EMPTY)
        async with raw_stream(plane.address, delta=True) as stream:
            await stream.send(CDS)
            await stream.accept()
            began = time.monotonic()
            await plane.server.stop(10)
            assert await stream.end() == grpc.StatusCode.OK
            assert time.monotonic() - began < 5


async def test_a_client_that_says_nothing_is_let_go() -> None:
    """A stream without a request costs little, but not nothing."""
    async with running_xds(limits=ServerLimits(first_request_seconds=0.1)) as plane:
        async with raw_stream(plane.address, delta=True) as stream:
            assert await stream.end() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert turned_away(plane, "slow") == 1


async def test_a_client_that_does_not_read_is_let_go() -> None:
    """Rule 32: the time for writing one response is bounded; others are not held up."""
    big = encode_bytes("big", CDS, b"x" * 30_000_000)
    async with running_xds(limits=ServerLimits(write_seconds=0.5)) as plane:
        plane.cache.set("edge", Snapshot.of([big]))
        plane.cache.set("small", EMPTY)
        async with raw_stream(plane.address, delta=True) as idle:
            await idle.send(CDS)
            async with raw_stream(plane.address, delta=True, cluster="small") as other:
                await other.send(CDS)
                await other.accept()
            await eventually(lambda: turned_away(plane, "slow"), "the client is let go")


async def test_a_client_that_goes_leaves_nothing_behind() -> None:
    """Neither a watcher nor a stream; what it had is remembered."""
    async with running_xds() as plane:
        plane.cache.set("edge", EMPTY)
        for _ in range(3):
            async with raw_stream(plane.address, delta=True) as stream:
                await stream.send(CDS)
                await stream.accept()
                assert len(plane.ledger.clients()) == 1
                assert plane.cache.watching("edge") == 1
            await until_closed(plane)
            assert plane.cache.watching("edge") == 0
        assert plane.ledger.clients() == []
        assert len(plane.ledger.ended()) == 3


async def test_a_client_that_only_closes_its_side_is_let_go() -> None:
    """No more requests, no more answers."""
    async with running_xds() as plane:
        plane.cache.set("edge", EMPTY)
        async with raw_stream(plane.address, delta=True) as stream:
            await stream.send(CDS)
            await stream.accept()
            await stream.call.done_writing()
            assert await stream.end() == grpc.StatusCode.OK
