"""Clusters: how an upstream is found, connected to, balanced and protected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envoy.config.cluster.v3.cluster_pb2 import Cluster, UpstreamConnectionOptions
from envoy.config.core.v3.address_pb2 import TcpKeepalive
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions
from envoy.extensions.clusters.aggregate.v3.cluster_pb2 import ClusterConfig as AggregateConfig
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as upstream_http

from controlplane import model
from controlplane.translate import limits, names
from controlplane.translate.balancing import balance
from controlplane.translate.config_source import ads
from controlplane.translate.endpoints import assignment_name, load_assignment
from controlplane.translate.protection import circuit_breakers, health_checks, outlier_detection
from controlplane.translate.upstream_filters import upstream_filters
from controlplane.translate.upstream_tls import transport_socket
from controlplane.translate.wellknown import duration, packed, uint32

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_AGGREGATE = "envoy.clusters.aggregate"
_UNUSED_SECONDS = 5.0
"""Each member has its own."""
_IDLE_SECONDS = 4.0
"""Python's and Node's servers close an idle connection after 5 s. Whoever closes first must be us, or a request
meets a connection that is just going away."""

_TCP_KEEPALIVE = TcpKeepalive(keepalive_time=uint32(60), keepalive_interval=uint32(10), keepalive_probes=uint32(3))


def cluster(upstream: model.Upstream) -> Cluster:
    """One upstream."""
    built = Cluster(
        name=names.cluster(upstream.name),
        connect_timeout=duration(upstream.connect_timeout),
        circuit_breakers=circuit_breakers(upstream.circuit_breaker),
        outlier_detection=outlier_detection(upstream.circuit_breaker),
        health_checks=health_checks(upstream),
        # An endpoint that left the document is gone, whatever its health check says.
        ignore_health_on_host_removal=True,
        per_connection_buffer_limit_bytes=uint32(limits.CONNECTION_BUFFER_BYTES),
        upstream_connection_options=UpstreamConnectionOptions(tcp_keepalive=_TCP_KEEPALIVE),
        typed_extension_protocol_options={_HTTP_OPTIONS: packed(_http_options(upstream))},
        **_discovery(upstream),
    )
    if upstream.tls or upstream.proxy_protocol is not None:
        built.transport_socket.CopyFrom(transport_socket(upstream))
    balance(built, upstream)
    return built


def chain_of(upstream: model.Upstream, upstreams: Mapping[str, model.Upstream]) -> tuple[str, ...]:
    """The upstream, and those that stand in for it, in their order."""
    found = [upstream.name]
    while (fallback := upstreams[found[-1]].fallback) is not None:
        found.append(fallback)
    return tuple(found)


def fallback_cluster(chain: Sequence[str]) -> Cluster:
    """The first of these upstreams that has an endpoint which is well."""
    members = AggregateConfig(clusters=[names.cluster(name) for name in chain])
    return Cluster(
        name=names.fallback_chain(chain),
        connect_timeout=duration(_UNUSED_SECONDS),
        lb_policy=Cluster.CLUSTER_PROVIDED,
        cluster_type=Cluster.CustomClusterType(name=_AGGREGATE, typed_config=packed(members)),
    )


def uses_eds(upstream: model.Upstream) -> bool:
    """Whether the endpoints are a resource of their own, so that they change without a new cluster.

    Not those that are checked: an endpoint takes no request before its first check, and where all are replaced there
    would be none. A new cluster has checked its endpoints before it takes the place of the old one. What is listed
    elsewhere changes by itself, and always comes over EDS.
    """
    return upstream.discover is not None or (upstream.discovery == "static" and upstream.health_check is None)


def _discovery(upstream: model.Upstream) -> dict[str, object]:
    if uses_eds(upstream):
        service = assignment_name(upstream) if upstream.discover is not None else ""
        config = Cluster.EdsClusterConfig(eds_config=ads(), service_name=service)
        return {"type": Cluster.EDS, "eds_cluster_config": config}
    if upstream.discovery == "static":
        return {"type": Cluster.STATIC, "load_assignment": load_assignment(upstream)}
    return {
        "type": Cluster.STRICT_DNS,
        "load_assignment": load_assignment(upstream),
        "respect_dns_ttl": True,
        # Envoy's default tries IPv6 alone when there is any: localhost is then ::1 and nothing else.
        "dns_lookup_family": Cluster.V4_PREFERRED,
    }


def _http_options(upstream: model.Upstream) -> upstream_http.HttpProtocolOptions:
    explicit = upstream_http.HttpProtocolOptions.ExplicitHttpConfig
    common = HttpProtocolOptions(idle_timeout=duration(_IDLE_SECONDS))
    if upstream.max_connection_age is not None:
        common.max_connection_duration.CopyFrom(duration(upstream.max_connection_age))
    if upstream.max_requests_per_connection is not None:
        common.max_requests_per_connection.CopyFrom(uint32(upstream.max_requests_per_connection))
    return upstream_http.HttpProtocolOptions(
        common_http_protocol_options=common,
        http_filters=upstream_filters(upstream),
        explicit_http_config=explicit(http2_protocol_options=Http2ProtocolOptions())
        if upstream.http2
        else explicit(http_protocol_options=Http1ProtocolOptions()),
    )
