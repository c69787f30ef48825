"""The real Envoy on the real xDS server, in each of the four ways that it can take its configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any

from controlplane.xds import types
from controlplane.xds.snapshot import EMPTY, Resource, Snapshot, encode_message
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import short_folder
from tests.harness.load import Load
from tests.harness.xds import XdsPlane, eventually, running_xds
from tests.harness.xds_envoy import TRANSPORTS, Transport, XdsEnvoy, load_assignment, running_xds_envoy

AGGREGATED = [transport for transport in TRANSPORTS if transport.aggregated]
ENVOYS = (types.CLUSTER, types.CLUSTER_LOAD_ASSIGNMENT, types.LISTENER, types.ROUTE_CONFIGURATION)


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    """Where all clusters lead."""
    with running_echo() as server:
        yield server


def asked(plane: XdsPlane) -> set[str]:
    """Types that Envoy has asked for on streams that are open."""
    return {type_url for client in plane.ledger.clients() for type_url in client.state.subscriptions}


async def acked(plane: XdsPlane, snapshot: Snapshot) -> None:
    """Publish, and wait until Envoy has asked for everything that there is and acknowledged it."""
    plane.cache.set("edge", snapshot)
    await eventually(lambda: set(snapshot.resources) <= asked(plane), "Envoy has asked for everything")
    outcome = await plane.ledger.wait_acked("edge", snapshot, ENVOYS, 10)
    assert outcome.complete, outcome


@pytest.mark.parametrize("transport", TRANSPORTS, ids=str)
async def test_envoy_takes_a_snapshot_a_change_and_a_removal(transport: Transport, echo: Echo) -> None:
    """Traffic follows the routes; what is gone is gone."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            plane.cache.set("edge", envoy.snapshot(echo.port, "first"))
            await envoy.until_route(200, "first")
            plane.cache.set("edge", envoy.snapshot(echo.port, "first", "second"))
            await envoy.until_route(200, "second")
            last = envoy.snapshot(echo.port, "second")
            await acked(plane, last)
            clusters = (await envoy.admin("/clusters")).text
            assert "second::" in clusters
            assert "first::" not in clusters
            assert await envoy.stat("cluster_manager.cds.update_rejected") == 0
            assert await envoy.stat("listener_manager.lds.update_rejected") == 0
            await acked(plane, EMPTY)
            assert (await envoy.route())[0] == 0


@pytest.mark.parametrize("transport", AGGREGATED, ids=str)
async def test_moving_traffic_between_new_clusters_loses_no_request(transport: Transport, echo: Echo) -> None:
    """Rules 20 to 22: at every step a new cluster comes, the routes move to it, and the old one goes."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            await acked(plane, envoy.snapshot(echo.port, "c0"))
            await envoy.until_route(200, "c0")
            load = Load(port=envoy.port, path="/", connections=4)
            running = asyncio.create_task(load.run())
            for step in range(1, 41):
                # Every other step is not waited for, so that changes meet while they are on their way.
                plane.cache.set("edge", envoy.snapshot(echo.port, f"c{step}", timeout=1 + step % 3))
                await (envoy.until_route(200, f"c{step}") if step % 2 else asyncio.sleep(0.02))
            await acked(plane, envoy.snapshot(echo.port, "last"))
            load.stop()
            result = await running
            assert set(result.statuses) == {200}
            assert not result.broken
            assert result.total > 100
            lines = (await envoy.admin("/clusters")).text.splitlines()
            ours = {line.partition("::")[0] for line in lines if not line.startswith("gateway.")}
            assert ours == {"last"}


@pytest.mark.parametrize("transport", AGGREGATED, ids=str)
async def test_a_changed_cluster_is_warm_at_once(transport: Transport, echo: Echo) -> None:
    """Rule 22: Envoy waits for endpoints that have not changed, for 15 s if nobody sends them."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            await acked(plane, envoy.snapshot(echo.port, "c", timeout=1))
            for timeout in (2, 3):
                async with asyncio.timeout(5):
                    await acked(plane, envoy.snapshot(echo.port, "c", timeout=timeout))
                assert await envoy.stat("cluster_manager.warming_clusters") == 0
            assert await envoy.stat("cluster.c.init_fetch_timeout") == 0
            await envoy.until_route(200, "c")


@pytest.mark.parametrize("transport", AGGREGATED, ids=str)
async def test_a_restarted_control_plane_with_the_same_content_sends_next_to_nothing(
    transport: Transport, echo: Echo
) -> None:
    """Rules 17 and 37: nothing at all in delta; in state of the world only what is asked for by name."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            snapshot = envoy.snapshot(echo.port, "a", "b")
            await acked(plane, snapshot)
            await plane.server.stop(1)
            async with running_xds(address=plane.address) as again:
                again.cache.set("edge", snapshot)
                await eventually(again.ledger.clients, "Envoy is back")
                (client,) = again.ledger.clients()
                await eventually(lambda: set(ENVOYS) <= set(client.state.subscriptions), "it has asked for everything")
                assert (await again.ledger.wait_acked("edge", snapshot, ENVOYS, 10)).complete
                sent = {url: again_sent(again, url) for url in ENVOYS}
                assert sent[types.CLUSTER] == sent[types.LISTENER] == 0
                if transport.delta:
                    assert set(sent.values()) == {0}
                await acked(again, envoy.snapshot(echo.port, "a", "b", "c"))
                await envoy.until_route(200, "c")


def again_sent(plane: XdsPlane, type_url: str) -> float:
    """Resources of a type that a server has sent."""
    labels = {"type": type_url.rpartition(".")[2]}
    return plane.registry.get_sample_value("gateway_xds_resources_total", labels) or 0.0


@pytest.mark.parametrize("transport", TRANSPORTS, ids=str)
async def test_envoys_words_are_in_the_ledger_and_the_good_resources_live(transport: Transport, echo: Echo) -> None:
    """Rules 2 and 30: a refusal names the culprit, is held, and ends with its correction."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            good = envoy.snapshot(echo.port, "c")
            await acked(plane, good)
            bad = good.with_resource(bad_cluster(envoy)).with_resource(load_assignment("c", 1))
            plane.cache.set("edge", bad)
            outcome = await plane.ledger.wait_acked("edge", bad, (types.CLUSTER,), 10)
            assert "broken" in outcome.refused["test"]
            assert await envoy.stat("cluster_manager.cds.update_rejected") == 1
            await acked(plane, envoy.snapshot(echo.port, "c", "d"))
            await envoy.until_route(200, "d")


def bad_cluster(envoy: XdsEnvoy) -> Resource:
    """A cluster that Envoy refuses: a hash policy's table size that is no prime."""
    cluster = Cluster.FromString(Any.FromString(envoy.cluster("broken").body).value)
    cluster.lb_policy = Cluster.MAGLEV
    cluster.maglev_lb_config.table_size.value = 4
    return encode_message("broken", cluster)


@pytest.mark.parametrize("transport", TRANSPORTS, ids=str)
async def test_an_envoy_that_should_have_nothing_is_ready(transport: Transport) -> None:
    """It hears that there is nothing, and does not wait for it."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            plane.cache.set("edge", EMPTY)
            async with asyncio.timeout(5):
                while (await envoy.admin("/ready")).status_code != 200:  # noqa: ASYNC110  a state of another process
                    await asyncio.sleep(0.02)
