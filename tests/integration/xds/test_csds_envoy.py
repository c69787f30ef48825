"""What the status service tells of a real Envoy."""

from __future__ import annotations

from typing import Any

import grpc.aio
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.status.v3.csds_pb2 import ClientStatusRequest, ConfigStatus
from envoy.service.status.v3.csds_pb2_grpc import ClientStatusDiscoveryServiceStub

from controlplane.xds import types
from controlplane.xds.snapshot import encode_message
from tests.harness.envoy import short_folder
from tests.harness.xds import XdsPlane, eventually, running_xds
from tests.harness.xds_envoy import TRANSPORTS, Transport, load_assignment, running_xds_envoy


async def states(plane: XdsPlane) -> dict[str, Any]:
    """By name of the cluster."""
    async with grpc.aio.insecure_channel(str(plane.address)) as channel:
        answer = await ClientStatusDiscoveryServiceStub(channel).FetchClientStatus(ClientStatusRequest())
        (config,) = answer.config  # though it may have many streams
        assert config.node.user_agent_name == "envoy"
        return {one.name: one for one in config.generic_xds_configs if one.type_url == types.CLUSTER}


@pytest.mark.parametrize("transport", TRANSPORTS, ids=str)
async def test_an_envoy_that_refuses_is_in_error_with_its_words(transport: Transport) -> None:
    """Rule 30: the resource that it names is; Envoy's own config dump says nothing of it (1.40)."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, transport, plane.address) as envoy:
            good = envoy.snapshot(1, "c")
            plane.cache.set("edge", good)
            assert (await plane.ledger.wait_acked("edge", good, tuple(good.versions), 10)).complete
            broken = Cluster(name="broken", type=Cluster.STATIC, lb_policy=Cluster.MAGLEV)
            broken.maglev_lb_config.table_size.value = 4
            bad = good.with_resource(encode_message("broken", broken)).with_resource(load_assignment("c", 1))
            plane.cache.set("edge", bad)
            clusters = plane.ledger.clients
            await eventually(
                lambda: any(
                    types.CLUSTER in one.state.subscriptions and one.state.subscriptions[types.CLUSTER].refused
                    for one in clusters()
                ),
                "the refusal",
            )
            found = await states(plane)
            assert "error_state" not in (await envoy.admin("/config_dump")).text  # else blame by that
    refused = found["broken"]
    assert ConfigStatus.Name(refused.config_status) == "ERROR"
    assert "broken" in refused.error_state.details
    assert ConfigStatus.Name(found["c"].config_status) in ("SYNCED", "UNKNOWN")
