"""What becomes of a release that a node refuses, over real streams and with the real Envoy."""

from __future__ import annotations

import socket

import pytest

from controlplane.store import Outcome
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot, encode_bytes
from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.rollouts import running_rollout
from tests.harness.xds import eventually, raw_stream
from tests.harness.xds_envoy import Transport, running_xds_envoy

pytestmark = pytest.mark.timeout(60)

ENVOY = Transport(aggregated=True, delta=True)


def clusters(**contents: str) -> Snapshot:
    """A snapshot that only a client understands that does not look into it."""
    return Snapshot.of(encode_bytes(name, types.CLUSTER, content.encode()) for name, content in contents.items())


async def test_a_refusal_brings_the_accepted_content_back() -> None:
    """On the very stream that refused; the outcome, the state and an event say who, what and why."""
    async with running_rollout() as plane, raw_stream(plane.address, delta=True) as node:
        await plane.publish({"edge": clusters(a="1", b="1")})
        await node.send(types.CLUSTER)
        await node.accept()
        release = await plane.publish({"edge": clusters(a="2", b="1")})
        refused = await node.receive()
        assert [resource.name for resource in refused.resources] == ["a"]
        await node.ack(refused, error="cluster a: no such thing")
        back = await node.accept()
        assert [(resource.name, resource.resource.value) for resource in back.resources] == [("a", b"1")]
        outcome = await plane.rollout.settle(release, 5)
        assert outcome.outcome is Outcome.REFUSED
        assert outcome.groups[0].refused == {"test": "cluster a: no such thing"}
        state = plane.state("edge")
        assert state.rolled_back is not None
        assert (state.rolled_back.type_url, state.rolled_back.resources) == (types.CLUSTER, ("a",))
        assert [event.kind for event in plane.happened()] == ["group-rolled-back"]


async def test_one_node_of_many_takes_all_back_whenever_it_comes() -> None:
    """The one that accepted goes back too: a group is one."""
    async with running_rollout() as plane, raw_stream(plane.address, delta=True, id="one") as one:
        first = await plane.publish({"edge": clusters(a="1")})
        await one.send(types.CLUSTER)
        await one.accept()
        assert (await plane.rollout.settle(first, 5)).outcome is Outcome.APPLIED
        release = await plane.publish({"edge": clusters(a="2")})
        await one.accept()
        assert (await plane.rollout.settle(release, 5)).outcome is Outcome.APPLIED
        async with raw_stream(plane.address, delta=False, id="late") as late:
            await late.send(types.CLUSTER)
            await late.ack(await late.receive(), error="no")
            assert (await one.accept()).resources[0].resource.value == b"1"
            assert (await late.accept()).resources[0].value == b"1"


async def test_an_envoy_that_refuses_goes_on_with_what_it_had() -> None:
    """A port that another process holds passes every check but the last one, on the node itself."""
    with running_echo() as echo, short_folder() as folder, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        async with running_rollout() as plane, running_xds_envoy(folder, ENVOY, plane.address) as envoy:
            group = envoy.envoy.settings.node_group
            await plane.publish({group: envoy.snapshot(echo.port, "first")})
            await envoy.until_route(200, "first")
            port, envoy.port = envoy.port, held.getsockname()[1]
            release = await plane.publish({group: envoy.snapshot(echo.port, "second")})
            envoy.port = port
            outcome = await plane.rollout.settle(release, 15)
            assert outcome.outcome is Outcome.REFUSED
            state = plane.state(group)
            assert state.rolled_back is not None
            assert state.rolled_back.resources == ("l",)
            assert "Address already in use" in state.rolled_back.why
            await eventually(lambda: not plane.state(group).waiting, "Envoy has what it had")
            await envoy.until_route(200, "first")
            mended = await plane.publish({group: envoy.snapshot(echo.port, "third")})
            assert (await plane.rollout.settle(mended, 15)).outcome is Outcome.APPLIED
            await envoy.until_route(200, "third")
