"""The client status discovery service, read with the generated stub while raw streams are in every state."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.admin.v3.config_dump_shared_pb2 import ClientResourceStatus
from envoy.service.status.v3.csds_pb2 import ClientStatusRequest, ClientStatusResponse, ConfigStatus
from envoy.service.status.v3.csds_pb2_grpc import ClientStatusDiscoveryServiceStub
from google.protobuf.text_format import Parse

from controlplane.xds import types
from controlplane.xds.csds_server import may_read
from controlplane.xds.snapshot import Snapshot
from servicekit.address import Address
from tests.harness.envoy import short_folder
from tests.harness.xds import XdsPlane, eventually, raw_stream, running_xds
from tests.unit.controlplane.xds.builders import OTHER, resource

CDS, EDS, LDS, SDS = types.CLUSTER, types.CLUSTER_LOAD_ASSIGNMENT, types.LISTENER, types.SECRET
Found = dict[tuple[str, str], Any]


async def fetch(plane: XdsPlane, request: str = "") -> list[Any]:
    """What there is of each client."""
    async with grpc.aio.insecure_channel(str(plane.address)) as channel:
        message: ClientStatusRequest = Parse(request, ClientStatusRequest())
        answer: ClientStatusResponse = await ClientStatusDiscoveryServiceStub(channel).FetchClientStatus(message)
        return list(answer.config)


async def of_the_one(plane: XdsPlane, request: str = "") -> Found:
    """What the only client has, by type and name."""
    (config,) = await fetch(plane, request)
    return {(one.type_url, one.name): one for one in config.generic_xds_configs}


def snapshot(*kept: tuple[str, str, str]) -> Snapshot:
    """Resources by type, name and content."""
    return Snapshot.of(resource(*one) for one in kept)


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_every_state_that_there_is(delta: bool) -> None:
    """Synced, not sent, stale and in error, with versions, times and the client's words."""
    with short_folder() as folder:
        address = Address(path=f"{folder}/xds")  # nobody else gets secrets
        await every_state(address, delta=delta)


async def every_state(address: Address, *, delta: bool) -> None:
    """The test's body."""
    async with running_xds(address=address) as plane:
        plane.cache.set("edge", snapshot((EDS, "a", "1"), (EDS, "b", "1"), (LDS, "l", "1"), (SDS, "s", "1")))
        async with raw_stream(plane.address, delta=delta, id="edge-1") as stream:
            names = "resource_names_subscribe" if delta else "resource_names"
            await stream.send(EDS, **{names: ["a", "b", "none"]})
            await stream.accept(**({} if delta else {names: ["a", "b", "none"]}))
            await stream.send(LDS, **{names: ["l"]})
            await stream.ack(await stream.receive(), error="l: no such port", **({} if delta else {names: ["l"]}))
            await stream.send(SDS, **{names: ["s"]})
            await stream.receive()
            await eventually(lambda: plane.ledger.clients()[0].state.subscriptions[LDS].refused, "the refusal")
            found = await of_the_one(plane)
        status = {name: ConfigStatus.Name(one.config_status) for (_, name), one in found.items()}
        assert status == {"a": "SYNCED", "b": "SYNCED", "none": "SYNCED", "l": "ERROR", "s": "STALE"}
        assert found[EDS, "none"].client_status == ClientResourceStatus.DOES_NOT_EXIST
        synced, refused, secret = found[EDS, "a"], found[LDS, "l"], found[SDS, "s"]
        assert (synced.client_status, synced.version_info) == (
            ClientResourceStatus.ACKED,
            resource(EDS, "a", "1").version,
        )
        assert synced.xds_config.value == b"a=1"
        assert synced.last_updated.seconds > 1_700_000_000
        assert refused.client_status == ClientResourceStatus.NACKED
        assert refused.error_state.details == "l: no such port"
        assert refused.error_state.version_info == resource(LDS, "l", "1").version
        assert refused.error_state.failed_configuration.value == b"l=1"
        assert refused.error_state.last_update_attempt.seconds >= synced.last_updated.seconds
        assert not secret.HasField("xds_config")


async def test_what_waits_for_its_turn_is_not_sent_and_who_is_not_meant_is_unknown() -> None:
    """Rule 30: the others of a response that was refused for one; and the newest while an older one is unanswered."""
    async with running_xds() as plane:
        plane.cache.set("edge", snapshot((CDS, "a", "1"), (EDS, "good", "1"), (EDS, "bad", "1")))
        async with raw_stream(plane.address, delta=True) as stream:
            await stream.send(CDS, resource_names_subscribe=["a"])
            await stream.receive()
            await stream.send(EDS, resource_names_subscribe=["good", "bad"])
            await stream.ack(await stream.receive(), error="bad: what is this?")
            plane.cache.update("edge", resource(CDS, "a", "2"))
            await eventually(lambda: plane.ledger.clients()[0].state.subscriptions[EDS].refused, "the refusal")
            found = await of_the_one(plane)
    assert {name: ConfigStatus.Name(one.config_status) for (_, name), one in found.items()} == {
        "a": "STALE",
        "good": "UNKNOWN",
        "bad": "ERROR",
    }


async def test_only_those_that_are_meant_and_only_what_is_asked_for() -> None:
    """By id, exact, prefix and suffix; without resources; several streams of one client are one client."""
    async with running_xds() as plane:
        plane.cache.set("edge", snapshot((CDS, "a", "1"), (OTHER, "policy", "1")))
        async with (
            raw_stream(plane.address, delta=True, id="edge-1") as one,
            raw_stream(plane.address, delta=False, id="edge-2") as two,
        ):
            await one.send(CDS)
            await one.accept()
            await one.send(OTHER)
            await one.accept()
            await two.send(CDS)
            await two.accept()
            for matcher, ids in {
                'exact: "edge-1"': ["edge-1"],
                'prefix: "edge"': ["edge-1", "edge-2"],
                'suffix: "2"': ["edge-2"],
                'prefix: "other"': [],
            }.items():
                configs = await fetch(plane, f"node_matchers {{ node_id {{ {matcher} }} }}")
                assert sorted(config.node.id for config in configs) == ids
            found = await of_the_one(plane, 'node_matchers { node_id { exact: "edge-1" } }')
            assert found[CDS, "a"].HasField("xds_config")
            assert not found[OTHER, "policy"].HasField("xds_config")
            found = await of_the_one(
                plane, 'exclude_resource_contents: true node_matchers { node_id { exact: "edge-1" } }'
            )
            assert not found[CDS, "a"].HasField("xds_config")
            with pytest.raises(grpc.aio.AioRpcError, match="are supported"):
                await fetch(plane, "node_matchers { node_id { safe_regex { regex: '.*' } } }")


async def test_a_large_answer_comes_in_pieces_or_without_resources() -> None:
    """On a stream in pieces, each below the bound; in one message without resources, or not at all."""
    async with running_xds(csds_most_bytes=20_000) as plane:
        plane.cache.set("edge", snapshot(*((CDS, f"c{number:03}", "x" * 500) for number in range(100))))
        async with raw_stream(plane.address, delta=True) as stream, grpc.aio.insecure_channel(str(plane.address)) as ch:
            await stream.send(CDS)
            await stream.accept()
            stub = ClientStatusDiscoveryServiceStub(ch)
            call = stub.StreamClientStatus()
            names: list[str] = []
            for _ in range(2):  # a stream takes more than one request
                await call.write(ClientStatusRequest())
                names.clear()
                while len(names) < 100:
                    answer = await call.read()
                    assert answer.ByteSize() <= 20_000
                    names += [one.name for config in answer.config for one in config.generic_xds_configs]
            assert sorted(names) == [f"c{number:03}" for number in range(100)]
            assert not (await of_the_one(plane))[CDS, "c000"].HasField("xds_config")
            plane.cache.set("edge", snapshot(*((CDS, f"c{number:03}", "1") for number in range(1000))))
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await fetch(plane)
            assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            call.cancel()


@pytest.mark.parametrize(
    ("peer", "properties", "allowed"),
    [
        ("unix:", {}, True),
        ("ipv4:127.0.0.1:4711", {}, True),
        ("ipv6:%5B::1%5D:4711", {}, True),
        ("ipv4:10.0.0.1:4711", {}, False),
        ("ipv6:%5B::1:2%5D:4711", {}, False),
        ("ipv4:127.0.0.1:4711", {"transport_security_type": [b"ssl"]}, False),
        (
            "ipv4:10.0.0.1:1",
            {"transport_security_type": [b"ssl"], "x509_subject_alternative_name": [b"ops.example"]},
            True,
        ),
        (
            "ipv4:10.0.0.1:1",
            {"transport_security_type": [b"ssl"], "x509_subject_alternative_name": [b"edge-1.example"]},
            False,
        ),
    ],
)
def test_not_everyone_may_know(peer: str, properties: dict[str, list[bytes]], allowed: bool) -> None:
    """A node with a certificate learns nothing of the others; plaintext across a network tells nobody."""
    assert may_read(peer, properties, ["ops.example"]) is allowed
