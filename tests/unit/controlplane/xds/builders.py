"""Small values for the tests of the xDS server."""

from __future__ import annotations

import itertools

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ConfigSource

from controlplane.xds import types
from controlplane.xds.messages import Response
from controlplane.xds.snapshot import Resource, Snapshot, encode_bytes, encode_message
from controlplane.xds.stream import Limits, Shared, StreamState

OTHER = "type.googleapis.com/gateway.policy.v1.Something"
"""A type that the server has no idea of: told in parts, under no order."""


_STREAMS = itertools.count(1)
"""A nonce of another stream answers nothing."""


def resource(type_url: str, name: str, content: str = "1") -> Resource:
    """A resource whose version depends on ``content`` alone."""
    return encode_bytes(name, type_url, f"{name}={content}".encode())


def snapshot_of(type_url: str, **contents: str) -> Snapshot:
    """Resources of one type by name."""
    return Snapshot.of(resource(type_url, name, content) for name, content in contents.items())


def eds_cluster(name: str, *, timeout: int = 1) -> Resource:
    """A cluster that takes its endpoints from the same stream. Another ``timeout`` is another version."""
    cluster = Cluster(
        name=name,
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=ConfigSource(ads=AggregatedConfigSource())),
    )
    cluster.connect_timeout.FromSeconds(timeout)
    return encode_message(name, cluster)


def endpoints(name: str, content: str = "1") -> Resource:
    """The endpoints of a cluster."""
    return resource(types.CLUSTER_LOAD_ASSIGNMENT, name, content)


def stream(*, aggregated: bool = False, limits: Limits | None = None, shared: Shared | None = None) -> StreamState:
    """A stream of its own; for one type, unless it is aggregated."""
    return StreamState(
        nonce_prefix=f"{next(_STREAMS):x}.", aggregated=aggregated, shared=shared or Shared(), limits=limits or Limits()
    )


def names(response: Response | None) -> list[str]:
    """What a response brings."""
    assert response is not None, "nothing was sent"
    return [resource.name for resource in response.resources]
