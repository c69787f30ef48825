"""The HTTP connection manager: how a listener reads, cleans, numbers and logs requests."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, HttpProtocolOptions
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    Rds,
)

from controlplane import model
from controlplane.translate import filter_order, limits, names
from controlplane.translate.access_log import access_logs
from controlplane.translate.config_source import ads
from controlplane.translate.early_headers import early_header_mutation
from controlplane.translate.local_replies import local_reply_config
from controlplane.translate.security_headers import of_local_replies
from controlplane.translate.wellknown import duration, true, uint32

_WEBSOCKET = "websocket"
_ESCAPED_SLASHES = {
    "reject": HttpConnectionManager.REJECT_REQUEST,
    "redirect": HttpConnectionManager.UNESCAPE_AND_REDIRECT,
    "keep": HttpConnectionManager.KEEP_UNCHANGED,
}
_UNDERSCORES = {
    "drop": HttpProtocolOptions.DROP_HEADER,
    "reject": HttpProtocolOptions.REJECT_REQUEST,
}
_NOBODY = CidrRange(address_prefix="255.255.255.255", prefix_len=uint32(32))
"""No peer has the broadcast address. An empty list would mean all private networks, and whoever Envoy calls internal
may choose the request ID and steer it with ``x-envoy-*`` headers."""


def connection_manager(
    source: model.Listener, *, identity_headers: Iterable[str], gateway: model.Gateway
) -> HttpConnectionManager:
    """How ``source`` speaks HTTP; ``identity_headers`` are removed from what clients send."""
    return HttpConnectionManager(
        stat_prefix=names.listener_stats(source.name),
        rds=Rds(config_source=ads(), route_config_name=_routes(source)),
        http_filters=filter_order.chain(gateway.routes, source),
        access_log=access_logs(),
        local_reply_config=local_reply_config(of_local_replies(gateway.security_headers)),
        upgrade_configs=[HttpConnectionManager.UpgradeConfig(upgrade_type=_WEBSOCKET)],
        **_identification(source, identity_headers),
        **_client_certificates(source.tls),
        **_sanitising(source.http),
        **_bounds(source.http),
    )


def _identification(source: model.Listener, identity_headers: Iterable[str]) -> dict[str, object]:
    """Who is calling is what the connection says, or trusted proxies; the request ID is ours and goes to the client."""
    return {
        "use_remote_address": true(),
        "xff_num_trusted_hops": source.trusted_proxies,
        "internal_address_config": HttpConnectionManager.InternalAddressConfig(cidr_ranges=[_NOBODY]),
        "early_header_mutation_extensions": [
            early_header_mutation(identity_headers, trusted_proxies=source.trusted_proxies)
        ],
        "generate_request_id": true(),
        "preserve_external_request_id": False,
        "always_set_request_id_in_response": True,
        "server_header_transformation": HttpConnectionManager.PASS_THROUGH,
    }


def _routes(source: model.Listener) -> str:
    redirect = source.redirect_to_https
    return names.ROUTES if redirect is None else names.https_redirects(redirect.port, redirect.status)


def _client_certificates(tls: model.ListenerTls | None) -> dict[str, object]:
    """What a client says of its certificate is removed; what the handshake has proven is told where that is asked."""
    if tls is None or tls.client_certificates is None or not tls.client_certificates.forward:
        return {"forward_client_cert_details": HttpConnectionManager.SANITIZE}
    return {
        "forward_client_cert_details": HttpConnectionManager.SANITIZE_SET,
        "set_current_client_cert_details": HttpConnectionManager.SetCurrentClientCertDetails(
            subject=true(), dns=True, uri=True
        ),
    }


def _sanitising(rules: model.HttpRules) -> dict[str, object]:
    """One meaning for each path, here and at the backend."""
    return {
        "normalize_path": true(),
        "merge_slashes": True,
        # %2F and %5C: a backend that decodes them would see other segments than the routes were matched with.
        "path_with_escaped_slashes_action": _ESCAPED_SLASHES[rules.escaped_slashes],
        "strip_trailing_host_dot": True,
    }


def _bounds(rules: model.HttpRules) -> dict[str, object]:
    return {
        "request_headers_timeout": duration(limits.REQUEST_HEADERS_SECONDS),
        "stream_idle_timeout": duration(limits.STREAM_IDLE_SECONDS),
        "drain_timeout": duration(limits.DRAIN_SECONDS),
        "max_request_headers_kb": uint32(rules.max_header_size // 1024),
        "common_http_protocol_options": HttpProtocolOptions(
            idle_timeout=duration(limits.CONNECTION_IDLE_SECONDS),
            max_headers_count=uint32(rules.max_headers),
            # WSGI and CGI read x_user_id as x-user-id.
            headers_with_underscores_action=_UNDERSCORES[rules.underscores],
        ),
        "http2_protocol_options": Http2ProtocolOptions(
            max_concurrent_streams=uint32(limits.MAX_CONCURRENT_STREAMS),
            initial_stream_window_size=uint32(limits.INITIAL_STREAM_WINDOW_BYTES),
            initial_connection_window_size=uint32(limits.INITIAL_CONNECTION_WINDOW_BYTES),
        ),
    }
