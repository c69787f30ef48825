"""What a cluster waits for before it takes traffic, read from the resource itself."""

from __future__ import annotations

from cachetools import LRUCache
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError

from controlplane.xds.snapshot import Resource

_REMEMBERED = 65_536


class ClusterReader:
    """Reads clusters, each version once for all streams."""

    def __init__(self) -> None:
        self._known: LRUCache[str, str | None] = LRUCache(_REMEMBERED)

    def endpoints_of(self, resource: Resource) -> str | None:
        """Name of the ``ClusterLoadAssignment`` that this cluster takes from its own stream; ``None`` for any other."""
        if resource.version not in self._known:
            self._known[resource.version] = _endpoints_of(resource)
        return self._known[resource.version]


def _endpoints_of(resource: Resource) -> str | None:
    try:
        cluster = Cluster.FromString(Any.FromString(resource.body).value)
    except DecodeError:
        return None
    if cluster.type != Cluster.EDS or not cluster.eds_cluster_config.eds_config.HasField("ads"):
        return None
    name: str = cluster.eds_cluster_config.service_name or cluster.name
    return name
