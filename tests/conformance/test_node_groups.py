"""Who gets which snapshot, seen on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from structlog.testing import capture_logs

from controlplane.model import NodeGroup, NodeSelector
from controlplane.placement import Placement
from controlplane.translate import SERVICES
from controlplane.xds import types
from controlplane.xds.snapshot import EMPTY, Resource, Snapshot, encode_bytes, encode_message
from servicekit.address import Address
from servicekit.contracts import AuthPolicy
from tests.harness.certificates import Authority
from tests.harness.xds import XdsPlane, eventually, raw_stream, running_xds

CDS, RDS, SDS = types.CLUSTER, types.ROUTE_CONFIGURATION, types.SECRET
EDGE = NodeGroup(name="edge", nodes=NodeSelector(ids=("edge-*",)))
SIDECAR = NodeGroup(name="sidecar", nodes=NodeSelector(ids=("side-*",)))
REST = NodeGroup(name="rest")


@dataclass(slots=True)
class GroupedPlane:
    """A server whose groups can change."""

    plane: XdsPlane
    placement: Placement

    def assign(self, *groups: NodeGroup) -> None:
        """Let there be other groups."""
        self.placement.assign(groups)
        self.plane.xds.regroup()


@asynccontextmanager
async def grouped(
    groups: Sequence[NodeGroup], tls_dir: Path | None = None, address: Address | None = None
) -> AsyncIterator[GroupedPlane]:
    """A server whose clusters are called like their group."""
    placement = Placement()
    placement.assign(groups)
    async with running_xds(place=placement.place, tls_dir=tls_dir, address=address) as plane:
        for name in ("edge", "sidecar", "rest", SERVICES):
            plane.cache.set(name, Snapshot.of([encode_bytes(name, CDS, b""), encode_bytes("same", RDS, b"")]))
        yield GroupedPlane(plane, placement)


def turned_away(plane: XdsPlane) -> float:
    """Streams of nodes that no group takes."""
    return plane.registry.get_sample_value("gateway_xds_streams_turned_away_total", {"reason": "no group"}) or 0.0


@pytest.mark.parametrize("delta", [True, False])
async def test_each_node_gets_its_group(delta: bool) -> None:
    """By the first group that means it."""
    async with grouped([EDGE, SIDECAR, REST]) as it:
        for node, name in (("edge-1", "edge"), ("side-1", "sidecar"), ("other", "rest")):
            async with raw_stream(it.plane.address, delta=delta, id=node) as stream:
                await stream.send(CDS)
                response = await stream.accept()
                assert response.version_info if not delta else [r.name for r in response.resources] == [name]
                assert [client.group for client in it.plane.ledger.clients() if client.node.id == node] == [name]


async def test_a_node_that_no_group_takes_is_refused() -> None:
    """It is told so, counted each time, and written down once."""
    async with grouped([EDGE]) as it:
        with capture_logs() as lines:
            for _ in range(3):
                async with raw_stream(it.plane.address, delta=True, id="stranger") as stream:
                    await stream.send(CDS)
                    assert await stream.end() == grpc.StatusCode.PERMISSION_DENIED
        assert turned_away(it.plane) == 3
        assert [line["node"] for line in lines if line["event"] == "no node group takes this node"] == ["stranger"]
        assert not it.plane.ledger.ended()


async def test_a_running_stream_moves_to_another_group() -> None:
    """The same stream: what the new group has comes, what it has not goes, and what is equal is not sent again."""
    async with grouped([EDGE]) as it, raw_stream(it.plane.address, delta=True, id="edge-1") as stream:
        await stream.send(CDS)
        await stream.accept()
        await stream.send(RDS, resource_names_subscribe=["same"])
        await stream.accept()
        it.assign(NodeGroup(name="sidecar"))
        came = await stream.accept()
        assert (came.type_url, [r.name for r in came.resources]) == (CDS, ["sidecar"])
        left = list(came.removed_resources) or list((await stream.accept()).removed_resources)
        assert left == ["edge"]
        (client,) = it.plane.ledger.clients()
        assert client.group == "sidecar"
        assert not it.plane.cache.watching("edge")
        it.plane.cache.set("edge", EMPTY)
        it.plane.cache.update("sidecar", encode_bytes("more", CDS, b""))
        assert [r.name for r in (await stream.accept()).resources] == ["more"]


async def test_a_running_stream_of_the_other_variant_moves_too() -> None:
    """It ends with the whole of the new group and nothing else."""
    async with grouped([EDGE]) as it, raw_stream(it.plane.address, delta=False, id="edge-1") as stream:
        it.plane.cache.set("edge", Snapshot.of([encode_bytes("a", CDS, b"edge")]))
        it.plane.cache.set("sidecar", Snapshot.of([encode_bytes("b", CDS, b"sidecar")]))
        await stream.send(CDS)
        assert [r.value for r in (await stream.accept()).resources] == [b"edge"]
        it.assign(NodeGroup(name="sidecar"))
        seen = [r.value for r in (await stream.accept()).resources]
        while seen != [b"sidecar"]:
            seen = [r.value for r in (await stream.accept()).resources]


async def test_groups_that_have_the_same_are_changed_in_silence() -> None:
    """The next thing that the client hears is the next change."""
    async with grouped([EDGE]) as it, raw_stream(it.plane.address, delta=True, id="edge-1") as stream:
        it.plane.cache.set("sidecar", Snapshot.of([encode_bytes("edge", CDS, b""), encode_bytes("same", RDS, b"")]))
        await stream.send(CDS)
        await stream.accept()
        it.assign(NodeGroup(name="sidecar"))
        it.plane.cache.update("sidecar", encode_bytes("more", CDS, b""))
        assert [r.name for r in (await stream.accept()).resources] == ["more"]


async def test_a_running_stream_that_no_group_takes_any_more_is_ended() -> None:
    """And nobody watches for it."""
    async with grouped([EDGE]) as it, raw_stream(it.plane.address, delta=True, id="edge-1") as stream:
        await stream.send(CDS)
        await stream.accept()
        it.assign(SIDECAR)
        assert await stream.end() == grpc.StatusCode.PERMISSION_DENIED
        await eventually(lambda: not it.plane.cache.watching("edge"), "nobody watches")
        assert turned_away(it.plane) == 1


async def test_a_node_that_waits_hears_of_its_group_when_there_is_one() -> None:
    """Before the first document nobody is refused."""
    placement = Placement()
    async with running_xds(place=placement.place) as plane, raw_stream(plane.address, delta=True, id="x") as stream:
        plane.cache.set("edge", Snapshot.of([encode_bytes("a", CDS, b"")]))
        await stream.send(CDS)
        await eventually(lambda: plane.cache.watching("unassigned"), "the stream waits")
        placement.assign([NodeGroup(name="edge")])
        plane.xds.regroup()
        assert [r.name for r in (await stream.accept()).resources] == ["a"]


async def test_a_service_gets_the_policies_whoever_it_says_it_is() -> None:
    """By what it asks for."""
    async with grouped([EDGE]) as it, raw_stream(it.plane.address, delta=True, id="ext-authz") as stream:
        it.plane.cache.set(SERVICES, Snapshot.of([encode_bytes("default", AuthPolicy.TYPE_URL, b"{}")]))
        await stream.send(AuthPolicy.TYPE_URL, resource_names_subscribe=["default"])
        assert [r.name for r in (await stream.accept()).resources] == ["default"]


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (("edge.eu.example",), "edge"),
        (("10.1.2.3", "edge.eu.example"), "edge"),
        (("spiffe://example/edge/a",), "edge"),
        (("other.eu.example",), None),
        (("edge.evil.eu.example",), None),
        ((), "edge"),
        (("x.example",), None),
    ],
)
async def test_a_certificate_says_more_than_the_node(tmp_path: Path, names: tuple[str, ...], group: str | None) -> None:
    """All alternative names count; the common name (``edge.cn.example`` here) only without any."""
    authority = Authority(tmp_path)
    proven = NodeSelector(identities=("edge.*.example", "spiffe://example/edge/*"))
    server, member = authority.member("server", "127.0.0.1"), authority.member("edge.cn.example", *names)
    async with (
        grouped([NodeGroup(name="edge", nodes=proven)], tls_dir=server) as it,
        raw_stream(it.plane.address, delta=True, tls_dir=member, id="edge.eu.example", cluster="edge") as stream,
    ):
        await stream.send(CDS)
        if group is None:
            assert await stream.end() == grpc.StatusCode.PERMISSION_DENIED
        else:
            assert [r.name for r in (await stream.accept()).resources] == [group]


def secrets() -> list[Resource]:
    """One that is for the node alone, and those that are for everybody."""
    key, authorities, place = Secret(name="key"), Secret(name="authorities"), Secret(name="place")
    place.tls_certificate.certificate_chain.filename = "/etc/tls/tls.crt"
    place.tls_certificate.private_key.filename = "/etc/tls/tls.key"
    key.tls_certificate.private_key.inline_string = "-----BEGIN PRIVATE KEY-----"
    authorities.validation_context.trusted_ca.inline_string = "-----BEGIN CERTIFICATE-----"
    return [encode_message(secret.name, secret) for secret in (key, authorities, place)]


@pytest.mark.parametrize("transport", ["tcp", "tls", "unix"])
async def test_private_keys_never_cross_a_connection_in_the_clear(tmp_path: Path, transport: str) -> None:
    """Loopback is one: whoever is on the machine can connect, and say any name."""
    authority = Authority(tmp_path)
    tls_dir = authority.member("server", "127.0.0.1") if transport == "tls" else None
    address = Address(path=str(tmp_path / "x")) if transport == "unix" else None
    async with (
        grouped([EDGE], tls_dir=tls_dir, address=address) as it,
        raw_stream(it.plane.address, delta=True, tls_dir=tls_dir, id="edge-1") as stream,
    ):
        it.plane.cache.set("edge", Snapshot.of(secrets()))
        await stream.send(SDS, resource_names_subscribe=["key", "authorities", "place"])
        response = await stream.accept()
        hidden = ["key"] if transport == "tcp" else []
        assert list(response.removed_resources) == hidden
        assert {r.name for r in response.resources} == {"key", "authorities", "place"} - set(hidden)
