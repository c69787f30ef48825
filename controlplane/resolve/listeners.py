"""Listeners: addresses filled in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from controlplane import model
from controlplane.config import GatewayConfig
from controlplane.config.adaptive_concurrency import AdaptiveConcurrency
from controlplane.config.listener_tls import RedirectToHttps, Tls
from controlplane.config.proxy_protocol import ProxyProtocol
from controlplane.config.tcp import TcpRoute
from controlplane.resolve.address_rules import ranges, resolve_addresses
from controlplane.resolve.draft import Draft


def resolve_listeners(document: GatewayConfig, draft: Draft) -> None:
    """Give each listener its address."""
    for written in document.listeners:
        listener = model.Listener(
            name=written.name,
            address=str(ipaddress.ip_address(written.address or draft.listen_address)),
            port=written.port,
            http=model.HttpRules(
                max_headers=written.http.max_headers,
                max_header_size=written.http.max_header_size,
                underscores=written.http.underscores,
                escaped_slashes=written.http.escaped_slashes,
            ),
            trusted_proxies=written.trusted_proxies,
            proxy_protocol=_proxy_protocol(written.proxy_protocol),
            addresses=resolve_addresses(written.addresses),
            tls=_tls(written.tls),
            redirect_to_https=_redirect(written.redirect_to_https),
            tcp=_tcp(written.tcp),
            adaptive_concurrency=_adaptive_concurrency(written.adaptive_concurrency),
        )
        draft.listeners.append(listener)


def _tls(written: Tls | None) -> model.ListenerTls | None:
    if written is None:
        return None
    asked = written.client_certificates
    return model.ListenerTls(
        certificates=tuple(
            model.CertificateFiles(certificate=one.certificate, key=one.key) for one in written.certificates
        ),
        min_version=written.min_version,
        alpn=tuple(written.alpn),
        client_certificates=None
        if asked is None
        else model.ClientCertificates(ca=asked.ca, required=asked.required, forward=asked.forward),
    )


def _proxy_protocol(written: ProxyProtocol | None) -> model.ProxyProtocol | None:
    if written is None:
        return None
    return model.ProxyProtocol(
        balancers=ranges(written.balancers), versions=tuple(written.versions), optional=written.optional
    )


def _tcp(written: Sequence[TcpRoute] | None) -> tuple[model.TcpRoute, ...]:
    ways = written or ()
    return tuple(
        model.TcpRoute(sni=tuple(sorted(host.lower().removesuffix(".") for host in way.sni)), upstream=way.upstream)
        for way in ways
    )


def find_tcp_conflicts(document: GatewayConfig, draft: Draft) -> None:
    """Refuse upstreams that need to see requests."""
    by_request = {upstream.name for upstream in document.upstreams if upstream.hash_on is not None}
    for index, listener in enumerate(draft.listeners):
        for position, way in enumerate(listener.tcp):
            if way.upstream in by_request:
                message = f"{way.upstream!r} ties requests to endpoints (hash_on), and tcp shows none"
                hint = "take round_robin, least_request or random"
                draft.refuse(("listeners", index, "tcp", position, "upstream"), "tcp", message, hint)


def _adaptive_concurrency(written: AdaptiveConcurrency | None) -> model.AdaptiveConcurrency | None:
    if written is None:
        return None
    return model.AdaptiveConcurrency(
        latency=written.latency, tolerance=written.tolerance, min=written.min, max=written.max
    )


def _redirect(written: RedirectToHttps | None) -> model.HttpsRedirect | None:
    return None if written is None else model.HttpsRedirect(port=written.port, status=written.status)
