"""A snapshot as one static Envoy configuration: what ``envoy --mode validate`` can read without a control plane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts.data_plane import (
    EXT_AUTHZ_CLUSTER,
    RATELIMIT_CLUSTER,
    RESPONSE_CACHE_CLUSTER,
    RUNTIME,
    SYSTEM_CA_SECRET,
)

_M = TypeVar("_M", bound=Message)

_NOBODYS_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBJTCBzKADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBm5vYm9keTAg
Fw0yNjAxMDEwMDAwMDBaGA8yMTI2MDEwMTAwMDAwMFowETEPMA0GA1UEAwwGbm9i
b2R5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwo7hY8r+yS5MEwdleMZKRd7g
tP38gEQIoyMaKVPlUVBN1pncdc7DpQv0rN2K0ieZqwiiCUwgsmLOC4v2VIYv+qMT
MBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAOyZirLqTnPJZw
02sY1Gemvydl2yh1IPCHUEKNIkipJgIhAL/HSZp4mkxoJHEf4w1aBqPVYQbdKRJx
7AQiD2zu/yhj
-----END CERTIFICATE-----
"""
"""An authority whose key was thrown away when this was made: upstreams with TLS need one to be valid, and nobody is
called here."""


def static_config(snapshot: Snapshot) -> Bootstrap:
    """Everything of ``snapshot``, and what every node's own bootstrap brings, as static resources.

    Routes that come over RDS and endpoints that come over EDS are put where they are used.
    """
    bootstrap = _what_nodes_bring()
    routes = {route.name: route for route in _all(snapshot, types.ROUTE_CONFIGURATION, RouteConfiguration)}
    endpoints = {
        load.cluster_name: load for load in _all(snapshot, types.CLUSTER_LOAD_ASSIGNMENT, ClusterLoadAssignment)
    }
    static = bootstrap.static_resources
    static.listeners.extend(_with_routes(one, routes) for one in _all(snapshot, types.LISTENER, Listener))
    static.clusters.extend(
        _without_files(_with_endpoints(one, endpoints)) for one in _all(snapshot, types.CLUSTER, Cluster)
    )
    return bootstrap


def _what_nodes_bring() -> Bootstrap:
    """What a snapshot may refer to without having it; where it leads does not matter here."""
    bootstrap = Bootstrap()
    bootstrap.layered_runtime.layers.add(name="gateway").static_layer.update(dict(RUNTIME))
    for name in (EXT_AUTHZ_CLUSTER, RATELIMIT_CLUSTER, RESPONSE_CACHE_CLUSTER):
        bootstrap.static_resources.clusters.add(name=name, type=Cluster.STATIC)
    # Secrets say where files of a node lie, which are not here: whoever names one is told to wait for it.
    bootstrap.node.id = bootstrap.node.cluster = "preflight"
    bootstrap.dynamic_resources.ads_config.api_type = ApiConfigSource.DELTA_GRPC
    bootstrap.dynamic_resources.ads_config.transport_api_version = ApiVersion.V3
    bootstrap.dynamic_resources.ads_config.grpc_services.add().envoy_grpc.cluster_name = EXT_AUTHZ_CLUSTER
    secret = bootstrap.static_resources.secrets.add(name=SYSTEM_CA_SECRET)
    secret.validation_context.trusted_ca.inline_string = _NOBODYS_CERTIFICATE
    return bootstrap


def _all(snapshot: Snapshot, type_url: str, kind: type[_M]) -> Iterator[_M]:
    for resource in snapshot.of_type(type_url).values():
        yield kind.FromString(Any.FromString(resource.body).value)


def _with_endpoints(cluster: Cluster, endpoints: dict[str, ClusterLoadAssignment]) -> Cluster:
    if cluster.type != Cluster.EDS:
        return cluster
    name = cluster.eds_cluster_config.service_name or cluster.name
    cluster.ClearField("eds_cluster_config")
    cluster.type = Cluster.STATIC
    cluster.load_assignment.cluster_name = cluster.name
    if name in endpoints:
        cluster.load_assignment.MergeFrom(endpoints[name])
    return cluster


def _without_files(cluster: Cluster) -> Cluster:
    """Static clusters are made before Envoy has a stream on which it could wait for secrets."""
    if cluster.HasField("transport_socket"):
        _forget_files(cluster.transport_socket)
    return cluster


def _forget_files(socket: TransportSocket) -> None:
    if socket.typed_config.Is(ProxyProtocolUpstreamTransport.DESCRIPTOR):
        outer = ProxyProtocolUpstreamTransport()
        socket.typed_config.Unpack(outer)
        _forget_files(outer.transport_socket)
        socket.typed_config.Pack(outer, deterministic=True)
    elif socket.typed_config.Is(UpstreamTlsContext.DESCRIPTOR):
        tls = UpstreamTlsContext()
        socket.typed_config.Unpack(tls)
        common = tls.common_tls_context
        common.ClearField("tls_certificate_sds_secret_configs")
        authorities = SdsSecretConfig(name=SYSTEM_CA_SECRET)
        common.combined_validation_context.validation_context_sds_secret_config.CopyFrom(authorities)
        socket.typed_config.Pack(tls, deterministic=True)


def _with_routes(listener: Listener, routes: dict[str, RouteConfiguration]) -> Listener:
    for config in _network_filters(listener):
        if not config.Is(HttpConnectionManager.DESCRIPTOR):
            continue
        manager = HttpConnectionManager()
        config.Unpack(manager)
        if manager.WhichOneof("route_specifier") == "rds":
            name = manager.rds.route_config_name
            manager.route_config.CopyFrom(routes.get(name, RouteConfiguration(name=name)))
            config.Pack(manager, deterministic=True)
    return listener


def _network_filters(listener: Listener) -> Iterable[Any]:
    chains = [
        *listener.filter_chains,
        *([listener.default_filter_chain] if listener.HasField("default_filter_chain") else []),
    ]
    return [network_filter.typed_config for chain in chains for network_filter in chain.filters]
