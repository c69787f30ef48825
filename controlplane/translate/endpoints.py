"""Endpoints: the addresses of an upstream."""

from __future__ import annotations

from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from controlplane import model
from controlplane.translate import names
from controlplane.translate.addresses import socket_address
from controlplane.translate.wellknown import uint32


def load_assignment(upstream: model.Upstream) -> ClusterLoadAssignment:
    """Sent over EDS for a ``static`` upstream without health checks, part of the cluster for any other."""
    return ClusterLoadAssignment(
        cluster_name=names.cluster(upstream.name),
        endpoints=[_of_priority(priority, upstream) for priority in sorted({e.priority for e in upstream.endpoints})],
    )


def _of_priority(priority: int, upstream: model.Upstream) -> LocalityLbEndpoints:
    found = [_lb_endpoint(endpoint, upstream) for endpoint in upstream.endpoints if endpoint.priority == priority]
    return LocalityLbEndpoints(priority=priority, lb_endpoints=found)


def _lb_endpoint(source: model.Endpoint, upstream: model.Upstream) -> LbEndpoint:
    endpoint = Endpoint(address=socket_address(source.host, source.port))
    if upstream.discovery == "dns":
        endpoint.hostname = source.host
    check = upstream.health_check
    if check is not None and check.host is None and check.kind != "tcp":
        # Else checks carry the cluster's name as Host, which many backends refuse.
        endpoint.health_check_config.hostname = f"[{source.host}]" if ":" in source.host else source.host
    return LbEndpoint(endpoint=endpoint, load_balancing_weight=uint32(source.weight))
