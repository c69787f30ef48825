"""Listeners: addresses filled in."""

from __future__ import annotations

import ipaddress

from controlplane import model
from controlplane.config import GatewayConfig
from controlplane.config.adaptive_concurrency import AdaptiveConcurrency
from controlplane.config.listener_tls import RedirectToHttps, Tls
from controlplane.resolve.address_rules import resolve_addresses
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
            addresses=resolve_addresses(written.addresses),
            tls=_tls(written.tls),
            redirect_to_https=_redirect(written.redirect_to_https),
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


def _adaptive_concurrency(written: AdaptiveConcurrency | None) -> model.AdaptiveConcurrency | None:
    if written is None:
        return None
    return model.AdaptiveConcurrency(
        latency=written.latency, tolerance=written.tolerance, min=written.min, max=written.max
    )


def _redirect(written: RedirectToHttps | None) -> model.HttpsRedirect | None:
    return None if written is None else model.HttpsRedirect(port=written.port, status=written.status)
