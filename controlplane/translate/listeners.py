"""Listeners: a port, and the connection manager behind it."""

from __future__ import annotations

from collections.abc import Sequence

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener

from controlplane import model
from controlplane.translate import limits, names
from controlplane.translate.addresses import socket_address
from controlplane.translate.connection_manager import connection_manager
from controlplane.translate.wellknown import packed, uint32

_HCM = "envoy.filters.network.http_connection_manager"


def listener(source: model.Listener, identity_headers: Sequence[str], routes: Sequence[model.Route]) -> Listener:
    """One listener of a gateway with these routes; ``identity_headers`` are removed from what clients send."""
    manager = connection_manager(
        stat_prefix=names.listener_stats(source.name), identity_headers=identity_headers, routes=routes
    )
    return Listener(
        name=names.listener(source.name),
        address=socket_address(source.address, source.port),
        filter_chains=[FilterChain(filters=[Filter(name=_HCM, typed_config=packed(manager))])],
        per_connection_buffer_limit_bytes=uint32(limits.CONNECTION_BUFFER_BYTES),
        traffic_direction=TrafficDirection.INBOUND,
    )
