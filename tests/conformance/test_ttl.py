"""Times to live on the wire, in both variants."""

from __future__ import annotations

import time

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest, Resource

from controlplane.xds.messages import FEATURES
from controlplane.xds.snapshot import Snapshot, encode_bytes
from controlplane.xds.types import RUNTIME
from tests.harness.xds import raw_stream, running_xds


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_heartbeats_have_name_version_and_time_and_no_body(delta: bool) -> None:
    """Rule 24: first the resource with its time to live, then heartbeats, which come by themselves."""
    async with running_xds() as plane:
        mortal = encode_bytes("mortal", RUNTIME, b"", ttl=0.6)
        plane.cache.set("edge", Snapshot.of([mortal]))
        async with raw_stream(plane.address, delta=delta) as stream:
            request = (DeltaDiscoveryRequest if delta else DiscoveryRequest)(type_url=RUNTIME)
            request.node.id, request.node.cluster = "test", "edge"
            request.node.client_features.extend(sorted(FEATURES))
            await stream.send_bytes(request.SerializeToString())
            stream._first = False
            began = time.monotonic()
            told: list[Resource] = []
            for _ in range(3):
                (sent,) = (await stream.accept()).resources
                told.append(sent if delta else unwrapped(sent))
            took = time.monotonic() - began
    assert [(one.name, one.version, one.ttl.ToMilliseconds()) for one in told] == [("mortal", mortal.version, 600)] * 3
    assert [one.HasField("resource") for one in told] == [True, False, False]
    assert told[0].resource.SerializeToString() == mortal.body
    assert 0.35 < took < 5


def unwrapped(sent: object) -> Resource:
    """What state of the world wraps."""
    resource = Resource()
    assert sent.Unpack(resource)  # type: ignore[attr-defined]  # an Any
    return resource
