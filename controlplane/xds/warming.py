"""What a cluster needs before it can take traffic, read from the resource itself.

A client that acknowledges a cluster has understood it, no more: endpoints, DNS answers and first health checks come
after.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachetools import LRUCache
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError

from controlplane.xds.snapshot import Resource

_REMEMBERED = 65_536
_RESOLVING = frozenset({Cluster.STRICT_DNS, Cluster.LOGICAL_DNS})


@dataclass(frozen=True, slots=True)
class Warming:
    """What a new cluster waits for."""

    endpoints: str | None = None
    """Name of the ``ClusterLoadAssignment`` that it takes from the same stream."""
    unseen: bool = False
    """Whether it also waits for something that the server never hears of: a DNS answer, a health check."""


class WarmingReader:
    """Reads clusters, each version once for all streams."""

    def __init__(self) -> None:
        self._known: LRUCache[str, Warming] = LRUCache(_REMEMBERED)

    def read(self, resource: Resource) -> Warming:
        """What this cluster waits for; nothing when it is no cluster at all."""
        found = self._known.get(resource.version)
        if found is None:
            found = self._known[resource.version] = _read(resource)
        return found


def _read(resource: Resource) -> Warming:
    try:
        cluster = Cluster.FromString(Any.FromString(resource.body).value)
    except DecodeError:
        return Warming()
    endpoints = None
    if cluster.type == Cluster.EDS and cluster.eds_cluster_config.eds_config.HasField("ads"):
        endpoints = cluster.eds_cluster_config.service_name or cluster.name
    return Warming(endpoints, unseen=cluster.type in _RESOLVING or bool(cluster.health_checks))
