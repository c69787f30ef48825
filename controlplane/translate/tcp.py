"""Listeners that pass bytes on: a filter chain for each way, chosen by the name that a client of TLS asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch, ListenerFilter
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from controlplane import model
from controlplane.translate import limits, names
from controlplane.translate.access_log import connection_log
from controlplane.translate.peers import peers
from controlplane.translate.wellknown import duration, packed

_TCP_PROXY: Final = "envoy.filters.network.tcp_proxy"
_TLS_INSPECTOR: Final = "envoy.filters.listener.tls_inspector"


def filter_chains(source: model.Listener, clusters: Mapping[str, str]) -> list[FilterChain]:
    """One for each way; connections that fit none are closed."""
    return [
        FilterChain(
            # A network filter would look at addresses when the first byte comes, and a server that greets is faster.
            filter_chain_match=FilterChainMatch(server_names=way.sni, direct_source_prefix_ranges=peers(source)),
            filters=[Filter(name=_TCP_PROXY, typed_config=packed(_proxy(source, clusters[way.upstream])))],
        )
        for way in source.tcp
    ]


def listener_filters(source: model.Listener) -> list[ListenerFilter]:
    """What reads the name from the client's first bytes, which stay where they are; none where nobody asks for it."""
    if not any(way.sni for way in source.tcp):
        return []
    return [ListenerFilter(name=_TLS_INSPECTOR, typed_config=packed(TlsInspector()))]


def _proxy(source: model.Listener, cluster: str) -> TcpProxy:
    return TcpProxy(
        stat_prefix=names.listener_stats(source.name),
        cluster=cluster,
        idle_timeout=duration(limits.TCP_IDLE_SECONDS),
        access_log=[connection_log(source.name)],
    )
