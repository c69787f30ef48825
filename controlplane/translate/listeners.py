"""Listeners: a port, and the connection manager behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC

from controlplane import model
from controlplane.translate import limits, names, tcp
from controlplane.translate.address_rules import by_peer, cidr
from controlplane.translate.addresses import socket_address
from controlplane.translate.connection_manager import connection_manager
from controlplane.translate.listener_tls import transport_socket
from controlplane.translate.proxy_protocol import speak
from controlplane.translate.wellknown import duration, packed, uint32

_RBAC = "envoy.filters.network.rbac"
_HCM = "envoy.filters.network.http_connection_manager"


def listener(
    source: model.Listener, identity_headers: Sequence[str], gateway: model.Gateway, clusters: Mapping[str, str]
) -> Listener:
    """One listener of ``gateway``.

    Args:
        source: it.
        identity_headers: removed from what clients send.
        gateway: what it is a part of.
        clusters: of the upstreams to which it passes bytes on.
    """
    chains = tcp.filter_chains(source, clusters) if source.tcp else [_http(source, identity_headers, gateway)]
    built = Listener(
        name=names.listener(source.name),
        address=socket_address(source.address, source.port),
        filter_chains=chains,
        per_connection_buffer_limit_bytes=uint32(limits.CONNECTION_BUFFER_BYTES),
        traffic_direction=TrafficDirection.INBOUND,
    )
    if source.proxy_protocol is not None:
        speak(built, source.proxy_protocol)
    built.listener_filters.extend(tcp.listener_filters(source))
    return built


def _http(source: model.Listener, identity_headers: Sequence[str], gateway: model.Gateway) -> FilterChain:
    manager = connection_manager(source, identity_headers=identity_headers, gateway=gateway)
    chain = FilterChain(filters=[*_address_rules(source), Filter(name=_HCM, typed_config=packed(manager))])
    if source.proxy_protocol is not None:
        # The peer itself is meant, whatever it says of its client. Other connections find no filter chain.
        chain.filter_chain_match.direct_source_prefix_ranges.extend(map(cidr, source.proxy_protocol.balancers))
    if source.tls is not None:
        chain.transport_socket.CopyFrom(transport_socket(source.name, source.tls))
        chain.transport_socket_connect_timeout.CopyFrom(duration(limits.TLS_HANDSHAKE_SECONDS))
    return chain


def _address_rules(source: model.Listener) -> list[Filter]:
    if source.addresses is None:
        return []
    rules = RBAC(rules=by_peer(source.addresses), stat_prefix=f"{names.listener_stats(source.name)}.")
    return [Filter(name=_RBAC, typed_config=packed(rules))]
