"""Endpoints: the addresses of an upstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from envoy.config.core.v3.base_pb2 import Locality
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from controlplane import model
from controlplane.translate import names
from controlplane.translate.addresses import socket_address
from controlplane.translate.labels import metadata
from controlplane.translate.wellknown import uint32
from controlplane.xds.snapshot import Resource, encode_message


def assignment_name(upstream: model.Upstream) -> str:
    """What the cluster asks for over EDS. Endpoints that are listed elsewhere are others when the place is another, or
    what each of them carries: revisions that differ in that may both be live while one is rolled out."""
    found = upstream.discover
    if found is None:
        return names.cluster(upstream.name)
    carried = f"{_host_is_its_own(upstream)}:{','.join(_chosen_by(upstream))}"
    return names.discovered(upstream.name, f"{found.kind}:{found.place}:{carried}")


def discovered(upstream: model.Upstream, endpoints: Sequence[model.Endpoint]) -> Resource:
    """The endpoints of an upstream that were found in its list, with the labels that routes choose by: a list may have
    fifty for each of thousands."""
    wanted = frozenset(_chosen_by(upstream))
    bare = tuple(replace(one, labels=tuple(pair for pair in one.labels if pair[0] in wanted)) for one in endpoints)
    return encode_message(assignment_name(upstream), load_assignment(replace(upstream, endpoints=bare)))


def _chosen_by(upstream: model.Upstream) -> list[str]:
    return sorted({label for labels in upstream.subsets for label in labels})


def load_assignment(upstream: model.Upstream) -> ClusterLoadAssignment:
    """Sent over EDS where the cluster asks for it there, part of the cluster for any other."""
    return ClusterLoadAssignment(
        cluster_name=assignment_name(upstream),
        endpoints=[_of_place(*place, upstream) for place in sorted({_place(e) for e in upstream.endpoints})],
    )


def _place(endpoint: model.Endpoint) -> tuple[int, str, str]:
    return endpoint.priority, endpoint.region, endpoint.zone


def _of_place(priority: int, region: str, zone: str, upstream: model.Upstream) -> LocalityLbEndpoints:
    place = (priority, region, zone)
    found = [_lb_endpoint(endpoint, upstream) for endpoint in upstream.endpoints if _place(endpoint) == place]
    together = LocalityLbEndpoints(priority=priority, lb_endpoints=found)
    if region or zone:
        together.locality.CopyFrom(Locality(region=region, zone=zone))
    return together


def _lb_endpoint(source: model.Endpoint, upstream: model.Upstream) -> LbEndpoint:
    endpoint = Endpoint(address=socket_address(source.host, source.port))
    if upstream.discovery == "dns":
        endpoint.hostname = source.host
    if _host_is_its_own(upstream):
        # Else checks carry the cluster's name as Host, which many backends refuse.
        endpoint.health_check_config.hostname = f"[{source.host}]" if ":" in source.host else source.host
    built = LbEndpoint(endpoint=endpoint, load_balancing_weight=uint32(source.weight))
    if source.labels:
        built.metadata.CopyFrom(metadata(source.labels))
    return built


def _host_is_its_own(upstream: model.Upstream) -> bool:
    """Whether a check of an endpoint carries the endpoint's own name as Host."""
    check = upstream.health_check
    return check is not None and check.host is None and check.kind != "tcp"
