"""Raw streams against the real server: both variants, every service, in the words of the protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from controlplane.xds import types
from controlplane.xds.services import Method, methods
from controlplane.xds.snapshot import EMPTY, Snapshot, encode_bytes
from tests.harness.xds import RawStream, raw_stream, running_xds

CDS, EDS, LDS, SDS = types.CLUSTER, types.CLUSTER_LOAD_ASSIGNMENT, types.LISTENER, types.SECRET
BARRIER = types.RUNTIME
"""A type that tests ask for to see that nothing else comes before its answer."""

PUBLIC = Secret(validation_context=CertificateValidationContext()).SerializeToString()
"""Bytes for any type; as a secret they are one that may be shown to everybody."""


def resources(type_url: str, **contents: str) -> Snapshot:
    """Resources of one type whose bytes are not looked at."""
    return Snapshot.of(
        [
            *(encode_bytes(name, type_url, content.encode()) for name, content in contents.items()),
            encode_bytes("barrier", BARRIER, b""),
        ]
    )


async def nothing_comes(stream: RawStream) -> None:
    """The server has taken everything that was sent and has nothing to say to it."""
    if stream.delta:
        await stream.send(BARRIER, resource_names_subscribe=["barrier"])
        response = await stream.accept()
    else:
        await stream.send(BARRIER, resource_names=["none"])  # so that the name is new each time
        await stream.send(BARRIER, resource_names=["barrier"])
        response = await stream.accept(resource_names=["barrier"])
    assert response.type_url == BARRIER, response


def sent(response: Any) -> dict[str, bytes]:
    """Names and contents of a delta response."""
    return {resource.name: resource.resource.value for resource in response.resources}


def contents(response: Any) -> list[bytes]:
    """Contents of a state-of-the-world response."""
    return [resource.value for resource in response.resources]


@pytest.mark.parametrize("method", list(methods()), ids=lambda m: m.name)
async def test_every_method_serves_its_type(method: Method) -> None:
    """A stream of its own for each type, and the aggregated one; the type may go without saying where there is one."""
    type_url = method.type_url or CDS
    suffix = method.name.removeprefix("Delta").removeprefix("Stream")
    async with (
        running_xds() as plane,
        raw_stream(plane.address, delta=method.delta, service=method.service, method=suffix) as stream,
    ):
        plane.cache.set("edge", Snapshot.of([encode_bytes("a", type_url, PUBLIC)]))
        await stream.send("" if method.type_url else type_url)
        response = await stream.accept()
        assert response.type_url == type_url
        assert [r.name for r in response.resources] == ["a"] if method.delta else contents(response) == [PUBLIC]
        assert response.control_plane.identifier == "replica-1"


async def test_a_delta_conversation() -> None:
    """First everything, then what changed, then what is gone."""
    async with running_xds() as plane, raw_stream(plane.address, delta=True) as stream:
        plane.cache.set("edge", resources(CDS, a="1", b="1"))
        await stream.send(CDS)
        first = await stream.accept()
        assert sent(first) == {"a": b"1", "b": b"1"}
        plane.cache.update("edge", encode_bytes("b", CDS, b"2"))
        second = await stream.accept()
        assert sent(second) == {"b": b"2"}
        assert second.nonce != first.nonce
        plane.cache.remove("edge", CDS, "a")
        third = await stream.accept()
        assert (sent(third), list(third.removed_resources)) == ({}, ["a"])
        await nothing_comes(stream)


async def test_a_state_of_the_world_conversation() -> None:
    """Clusters whole each time."""
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.cache.set("edge", resources(CDS, a="1", b="1"))
        await stream.send(CDS)
        first = await stream.accept()
        assert contents(first) == [b"1", b"1"]
        plane.cache.update("edge", encode_bytes("b", CDS, b"2"))
        second = await stream.accept()
        assert contents(second) == [b"1", b"2"]
        assert second.version_info != first.version_info
        plane.cache.remove("edge", CDS, "a")
        assert contents(await stream.accept()) == [b"2"]
        plane.cache.remove("edge", CDS, "b")
        assert contents(await stream.accept()) == []
        await nothing_comes(stream)


@pytest.mark.parametrize("delta", [True, False])
async def test_a_refusal_is_held_and_its_correction_sent(delta: bool) -> None:
    """Rules 1 and 2, with the client's words in the ledger."""
    async with running_xds() as plane, raw_stream(plane.address, delta=delta) as stream:
        plane.cache.set("edge", resources(CDS, a="good"))
        await stream.send(CDS)
        good = await stream.accept()
        plane.cache.update("edge", encode_bytes("a", CDS, b"bad"))
        await stream.ack(await stream.receive(), error="a is bad", **({} if delta else {"version_info": "any"}))
        await nothing_comes(stream)
        (client,) = plane.ledger.clients()
        status = plane.ledger.statuses(client)[0]
        assert (status.refused, status.error) == (True, "a is bad")
        assert (await plane.ledger.wait_acked("edge", plane.cache.get("edge") or EMPTY, (CDS,), 5)).refused == {
            "test": "a is bad"
        }
        plane.cache.update("edge", encode_bytes("a", CDS, b"good"))
        again = await stream.accept()
        assert [r.SerializeToString() for r in again.resources] == [r.SerializeToString() for r in good.resources]
        await nothing_comes(stream)
        assert (await plane.ledger.wait_acked("edge", plane.cache.get("edge") or EMPTY, (CDS,), 5)).complete


async def test_a_stale_nonce_is_no_answer_but_its_names_count() -> None:
    """Rule 4, with requests that cross a response."""
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.cache.set("edge", resources(EDS, a="1", b="2"))
        await stream.send(EDS, resource_names=["a"])
        first = await stream.receive()
        await stream.send(EDS, resource_names=["a", "b"], response_nonce="stale")
        await nothing_comes(stream)
        await stream.ack(first, resource_names=["a", "b"])
        assert contents(await stream.receive()) == [b"2"]


async def test_the_node_is_remembered_from_the_first_request() -> None:
    """Rule 25: later ones may carry none, or another."""
    async with running_xds() as plane, raw_stream(plane.address, delta=True, cluster="blue", id="n1") as stream:
        plane.cache.set("blue", resources(CDS, a="blue"))
        plane.cache.set("", resources(LDS, a="nobody"))
        await stream.send(CDS)
        await stream.accept()
        await stream.send(LDS)
        assert sent(await stream.accept()) == {}
        (client,) = plane.ledger.clients()
        assert (client.node.id, client.group) == ("n1", "blue")


async def test_each_group_gets_its_own() -> None:
    """And a group that nobody set gets nothing until somebody does."""
    async with (
        running_xds() as plane,
        raw_stream(plane.address, delta=True, cluster="blue") as blue,
        raw_stream(plane.address, delta=True, cluster="green") as green,
    ):
        plane.cache.set("blue", resources(CDS, a="blue"))
        await blue.send(CDS)
        await green.send(CDS)
        assert sent(await blue.accept()) == {"a": b"blue"}
        plane.cache.set("green", resources(CDS, a="green"))
        assert sent(await green.accept()) == {"a": b"green"}


@pytest.mark.parametrize("delta", [True, False])
async def test_a_reconnect_with_matching_versions_is_sent_nothing(delta: bool) -> None:
    """Rules 17, 18 and 37, on a second server too: versions are hashes of the content."""
    snapshot = resources(CDS, a="1", b="1")
    async with running_xds() as plane, raw_stream(plane.address, delta=delta) as stream:
        plane.cache.set("edge", snapshot)
        await stream.send(CDS)
        first = await stream.accept()
    claim: dict[str, Any] = {"version_info": "" if delta else first.version_info}
    if delta:
        claim = {"initial_resource_versions": {r.name: r.version for r in first.resources}}
    async with running_xds() as plane, raw_stream(plane.address, delta=delta) as stream:
        plane.cache.set("edge", snapshot)
        await stream.send(SDS, **({"resource_names_subscribe": ["x"]} if delta else {"resource_names": ["x"]}))
        if delta:
            await stream.accept()  # there is no such secret
        await stream.send(CDS, **claim)
        await nothing_comes(stream)
        plane.cache.update("edge", encode_bytes("b", CDS, b"2"))
        changed = await stream.accept()
        assert len(changed.resources) == (1 if delta else 2)


async def test_a_large_answer_is_split_for_clients_with_the_usual_limit() -> None:
    """Rule 34: this client takes 4 MiB."""
    contents_ = {f"r{n}": str(n % 10) * 1_000_000 for n in range(9)}
    async with running_xds() as plane, raw_stream(plane.address, delta=True) as stream:
        plane.cache.set("edge", resources(CDS, **contents_))
        await stream.send(CDS)
        received: dict[str, bytes] = {}
        while len(received) < len(contents_):
            response = await stream.accept()
            assert len(response.resources) <= 3
            received |= sent(response)
        await nothing_comes(stream)


async def test_a_large_request_is_taken() -> None:
    """Rule 33: a client that reconnects with 60,000 resources sends more than 4 MiB."""
    async with running_xds() as plane, raw_stream(plane.address, delta=True) as stream:
        plane.cache.set("edge", resources(CDS, kept="1"))
        version = resources(CDS, kept="1").of_type(CDS)["kept"].version
        names = {f"a-cluster-with-a-rather-long-name-{n:060}": "0123456789abcdef" for n in range(60_000)}
        await stream.send(CDS, initial_resource_versions=names | {"kept": version})
        removed: set[str] = set()
        while len(removed) < len(names):
            response = await stream.accept()
            assert not response.resources
            removed.update(response.removed_resources)
        assert removed == set(names)


async def test_a_type_that_nobody_knows_is_no_mistake() -> None:
    """The stream goes on."""
    async with running_xds() as plane, raw_stream(plane.address, delta=True) as stream:
        plane.cache.set("edge", resources(CDS, a="1"))
        await stream.send("type.googleapis.com/some.Other")
        await nothing_comes(stream)


@pytest.mark.parametrize("delta", [True, False])
async def test_rubbish_ends_the_stream_and_says_why(delta: bool) -> None:
    """``INVALID_ARGUMENT``, and only for that stream."""
    async with running_xds() as plane:
        async with raw_stream(plane.address, delta=delta) as stream:
            await stream.send_bytes(b"\xff\xff")
            assert await stream.end() == grpc.StatusCode.INVALID_ARGUMENT
        async with raw_stream(plane.address, delta=delta) as stream:
            await stream.send("")
            assert await stream.end() == grpc.StatusCode.INVALID_ARGUMENT
        async with raw_stream(plane.address, delta=delta) as stream:
            await stream.send(CDS)
            await stream.send_bytes(b"\xff\xff")
            assert await stream.end() == grpc.StatusCode.INVALID_ARGUMENT
        assert plane.registry.get_sample_value(
            "gateway_xds_streams_turned_away_total", {"reason": "protocol"}
        ) == pytest.approx(3)


async def test_a_stream_for_one_type_takes_no_other() -> None:
    """The method says which."""
    service = "envoy.service.cluster.v3.ClusterDiscoveryService"
    async with (
        running_xds() as plane,
        raw_stream(plane.address, delta=True, service=service, method="Clusters") as stream,
    ):
        await stream.send(LDS)
        assert await stream.end() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_thousand_changes_reach_a_slow_reader_as_few() -> None:
    """Rule 32: it gets the newest, not each."""
    async with running_xds() as plane, raw_stream(plane.address, delta=True) as stream:
        plane.cache.set("edge", resources(CDS, a="0"))
        await stream.send(CDS)
        first = await stream.receive()
        for number in range(1, 1001):
            plane.cache.update("edge", encode_bytes("a", CDS, str(number).encode()))
            await asyncio.sleep(0)
        await stream.ack(first)
        assert sent(await stream.accept()) == {"a": b"1000"}
        await nothing_comes(stream)


async def test_a_client_of_a_server_that_is_gone_keeps_what_its_routes_may_need() -> None:
    """Rules 14 and 20: it says only a version, and what has gone since stays until its routes change."""
    first, before, after = resources(CDS, z="1", a="1"), resources(CDS, a="1", b="1"), resources(CDS, b="1", c="1")
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.xds.remember([before, first])
        plane.cache.set("edge", after)
        await stream.send(CDS, version_info=before.version(CDS))
        assert contents(await stream.accept()) == [b"1", b"1", b"1"]
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.cache.set("edge", after)
        await stream.send(CDS, version_info=before.version(CDS))
        assert contents(await stream.accept()) == [b"1", b"1"], "nobody can know"


async def test_a_client_amid_several_changes_says_to_the_next_server_what_it_has() -> None:
    """Rules 14 and 20: the version of a union names all that it is made of, whichever changes it missed."""
    route = encode_bytes("r", types.ROUTE_CONFIGURATION, b"")
    first, missed, second, third, fourth = (
        Snapshot.of([route, *(encode_bytes(name, CDS, name.encode()) for name in names)])
        for names in ("az", "ay", "ab", "bc", "cd")
    )
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.cache.set("edge", first)
        await stream.send(CDS)
        await stream.accept()
        await stream.send(types.ROUTE_CONFIGURATION, resource_names=["r"])
        await stream.receive()  # never answered: until then no cluster goes
        for snapshot in (second, third):
            plane.cache.set("edge", snapshot)
            response = await stream.accept()
        assert contents(response) == [b"a", b"b", b"c", b"z"]
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.xds.remember([fourth, third, missed, second, first])
        plane.cache.set("edge", fourth)
        claimed = response.version_info
        await stream.send(CDS, version_info=claimed)
        response = await stream.accept()
        assert contents(response) == [b"a", b"b", b"c", b"d", b"z"]
        assert contents(await stream.accept()) == [b"c", b"d"], "a second later nothing leads to the others"
    async with running_xds() as plane, raw_stream(plane.address, delta=False) as stream:
        plane.xds.remember([third, second])
        plane.cache.set("edge", third)
        await stream.send(CDS, version_info=claimed)
        assert contents(await stream.accept()) == [b"a", b"b", b"c"], "what is known is kept, and it is told the rest"
        assert contents(await stream.accept()) == [b"b", b"c"]
