"""The bootstrap's own clusters: the services that Envoy has to reach before it has any configuration."""

from __future__ import annotations

from datetime import timedelta

import envoy_data_plane.envoy.config.cluster.v3 as cluster_v3
import envoy_data_plane.envoy.config.core.v3 as core_v3
import envoy_data_plane.envoy.config.endpoint.v3 as endpoint_v3
import envoy_data_plane.envoy.extensions.clusters.common.dns.v3 as common_dns_v3
import envoy_data_plane.envoy.extensions.clusters.dns.v3 as dns_v3
import envoy_data_plane.envoy.extensions.upstreams.http.v3 as upstream_http_v3
from envoy_data_plane.google.protobuf import Any

from gateway.bootstrap_tls import SecretFiles, is_ip, mutual_tls
from gateway.envoy_settings import EnvoySettings
from servicekit.address import Address
from servicekit.contracts.data_plane import (
    ADMIN_CLUSTER,
    EXT_AUTHZ_CLUSTER,
    RATELIMIT_CLUSTER,
    RESPONSE_CACHE_CLUSTER,
    XDS_CLUSTER,
)
from servicekit.tls import require_private

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_DNS_RETRY = timedelta(milliseconds=500)
_CONNECT_TIMEOUT = timedelta(milliseconds=500)
_KEEPALIVE = core_v3.KeepaliveSettings(interval=timedelta(seconds=30), timeout=timedelta(seconds=5))
_MAX_REQUESTS = 4096
"""To one service at a time. More would wait longer than the filters do."""


def bootstrap_clusters(settings: EnvoySettings, secrets: SecretFiles | None) -> list[cluster_v3.Cluster]:
    """The control plane, the services, and Envoy's own admin interface.

    Raises:
        SettingsError: an address leaves the machine and there is no TLS.
    """
    return [
        _grpc_cluster(XDS_CLUSTER, settings.xds_address, settings, secrets),
        _grpc_cluster(EXT_AUTHZ_CLUSTER, settings.ext_authz_address, settings, secrets),
        _grpc_cluster(RATELIMIT_CLUSTER, settings.ratelimit_address, settings, secrets),
        _grpc_cluster(RESPONSE_CACHE_CLUSTER, settings.response_cache_address, settings, secrets),
        _cluster(ADMIN_CLUSTER, settings.envoy_admin, place=locality(settings)),
    ]


def locality(settings: EnvoySettings) -> core_v3.Locality | None:
    """Where this Envoy is, if that has been said."""
    if not settings.node_region and not settings.node_zone:
        return None
    return core_v3.Locality(region=settings.node_region, zone=settings.node_zone)


def to_envoy(address: Address, *, socket_mode: int = 0) -> core_v3.Address:
    """An address in Envoy's words; ``::`` takes IPv4 clients too."""
    if address.is_unix:
        return core_v3.Address(pipe=core_v3.Pipe(path=address.path, mode=socket_mode))
    return core_v3.Address(
        socket_address=core_v3.SocketAddress(
            address=address.host, port_value=address.port, ipv4_compat=address.host == "::"
        )
    )


def _grpc_cluster(
    name: str, address: Address, settings: EnvoySettings, secrets: SecretFiles | None
) -> cluster_v3.Cluster:
    require_private(address, settings)
    cluster = _cluster(name, address)
    options = upstream_http_v3.HttpProtocolOptions(
        explicit_http_config=upstream_http_v3.HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=core_v3.Http2ProtocolOptions(connection_keepalive=_KEEPALIVE)
        )
    )
    cluster.typed_extension_protocol_options = {_HTTP_OPTIONS: Any.pack(options)}
    cluster.circuit_breakers = cluster_v3.CircuitBreakers(
        thresholds=[
            cluster_v3.CircuitBreakersThresholds(
                max_pending_requests=_MAX_REQUESTS, max_requests=_MAX_REQUESTS, track_remaining=True
            )
        ]
    )
    if settings.tls_dir is not None and not address.is_unix:
        cluster.transport_socket = mutual_tls(settings.tls_dir, address.host, secrets)
    return cluster


def _cluster(name: str, address: Address, *, place: core_v3.Locality | None = None) -> cluster_v3.Cluster:
    endpoint = endpoint_v3.LbEndpoint(endpoint=endpoint_v3.Endpoint(address=to_envoy(address)))
    cluster = cluster_v3.Cluster(
        name=name,
        connect_timeout=_CONNECT_TIMEOUT,
        type=cluster_v3.ClusterDiscoveryType.STATIC,
        load_assignment=endpoint_v3.ClusterLoadAssignment(
            cluster_name=name, endpoints=[endpoint_v3.LocalityLbEndpoints(locality=place, lb_endpoints=[endpoint])]
        ),
    )
    if not address.is_unix and not is_ip(address.host):
        cluster.type, cluster.cluster_type = None, _dns()
    return cluster


def _dns() -> cluster_v3.ClusterCustomClusterType:
    """Every address that the name has. One that is not there yet belongs to a part that is starting: it is asked for
    again soon, for Envoy's own 5 s would be as many seconds of 503.
    """
    dns = dns_v3.DnsCluster(
        dns_lookup_family=common_dns_v3.DnsLookupFamily.V4_PREFERRED,
        dns_failure_refresh_rate=dns_v3.DnsClusterRefreshRate(base_interval=_DNS_RETRY, max_interval=_DNS_RETRY),
    )
    return cluster_v3.ClusterCustomClusterType(name="envoy.clusters.dns", typed_config=Any.pack(dns))
