"""Upstreams: URLs taken apart, and a way of discovery chosen."""

from __future__ import annotations

from typing import Any, Literal

from controlplane import config, model
from controlplane.config.admission_control import AdmissionControl
from controlplane.config.balancing import HashKey
from controlplane.config.health_checks import HealthCheck
from controlplane.config.target_lists import Discover
from controlplane.config.upstream_tls import UpstreamTls
from controlplane.config.upstreams import CircuitBreaker, Upstream
from controlplane.config.urls import EndpointUrl, parse_endpoint_url
from controlplane.resolve.address_rules import ranges
from controlplane.resolve.draft import Draft
from controlplane.resolve.labels import labels


def resolve_upstreams(document: config.GatewayConfig, draft: Draft) -> None:
    """Turn every upstream into its model."""
    for index, written in enumerate(document.upstreams):
        urls = [parse_endpoint_url(endpoint.url) for endpoint in written.endpoints]
        _check_endpoints(index, written, urls, draft)
        draft.upstreams.append(_upstream(written, urls))
    _check_fallbacks(draft)


def _upstream(written: Upstream, urls: list[EndpointUrl]) -> model.Upstream:
    return model.Upstream(
        name=written.name,
        endpoints=tuple(
            model.Endpoint(
                host=url.host,
                port=url.port,
                weight=endpoint.weight,
                priority=endpoint.priority,
                region=endpoint.region,
                zone=endpoint.zone,
                labels=labels(endpoint.labels),
            )
            for url, endpoint in zip(urls, written.endpoints, strict=True)
        ),
        discovery=_discovery(written, urls),
        discover=_target_list(written.discover) if written.discover else None,
        tls=_tls(written.tls or UpstreamTls()) if written.tls or any(url.tls for url in urls) else None,
        http2=written.http2,
        load_balancing=written.load_balancing,
        connect_timeout=written.connect_timeout,
        health_check=_health_check(written.health_check) if written.health_check else None,
        circuit_breaker=_circuit_breaker(written.circuit_breaker),
        hash_on=tuple(map(_hash_key, written.hash_on or ())),
        prefer_own_zone=written.prefer_own_zone,
        admission_control=_admission_control(written.admission_control),
        slow_start=written.slow_start,
        panic_threshold=written.panic_threshold,
        max_connection_age=written.max_connection_age,
        max_requests_per_connection=written.max_requests_per_connection,
        proxy_protocol=written.proxy_protocol,
        fallback=written.fallback,
    )


def _admission_control(written: AdmissionControl | None) -> model.AdmissionControl | None:
    if written is None:
        return None
    return model.AdmissionControl(
        success_rate=written.success_rate,
        window=written.window,
        requests_per_second=written.requests_per_second,
        max_refused=written.max_refused,
    )


def _tls(written: UpstreamTls) -> model.UpstreamTls:
    shown = written.client_certificate
    return model.UpstreamTls(
        ca=written.ca,
        client_certificate=model.CertificateFiles(certificate=shown.certificate, key=shown.key) if shown else None,
        sni=written.sni,
        names=tuple(written.names or ()),
        min_version=written.min_version,
    )


def _discovery(written: Upstream, urls: list[EndpointUrl]) -> Literal["static", "dns", "list"]:
    if written.discover is not None:
        return "list"
    return "static" if all(url.is_ip for url in urls) else "dns"


def _target_list(written: Discover) -> model.TargetList:
    common: dict[str, Any] = {"at_least": written.at_least, "networks": ranges(written.networks)}
    if written.http is None:
        return model.TargetList(kind="file", place=written.file or "", **common)
    http = written.http
    return model.TargetList(kind="http", place=http.url, interval=http.interval, timeout=http.timeout, **common)


def _hash_key(written: HashKey) -> model.HashKey:
    if written.header is not None:
        return model.HashKey(kind="header", name=written.header)
    if written.cookie is not None:
        return model.HashKey(kind="cookie", name=written.cookie, ttl=written.ttl)
    if written.query is not None:
        return model.HashKey(kind="query", name=written.query)
    return model.HashKey(kind="client_ip")


def _check_fallbacks(draft: Draft) -> None:
    by_name = {upstream.name: upstream for upstream in draft.upstreams}
    for index, upstream in enumerate(draft.upstreams):
        seen, at = {upstream.name}, upstream
        while at.fallback is not None and at.fallback in by_name and at.fallback not in seen:
            seen.add(at.fallback)
            at = by_name[at.fallback]
        if at.fallback in seen:
            message = "this leads back to itself" if at.fallback == upstream.name else "this leads into a circle"
            draft.refuse(("upstreams", index, "fallback"), "fallback-circle", message, "take one of them out")


def _check_endpoints(upstream: int, written: Upstream, urls: list[EndpointUrl], draft: Draft) -> None:
    named = written.tls is not None and written.tls.sni is not None
    if written.tls is not None and written.discover is None and not any(url.tls for url in urls):
        hint = "write their URLs with https://"
        draft.refuse(("upstreams", upstream, "tls"), "tls", "none of the endpoints speaks TLS", hint)
    seen: set[tuple[str, int]] = set()
    for index, url in enumerate(urls):
        path = ("upstreams", upstream, "endpoints", index)
        if (url.host, url.port) in seen:
            draft.refuse(path, "duplicate-endpoint", "this endpoint stands here twice", "give it a weight instead")
        seen.add((url.host, url.port))
        if url.tls != urls[0].tls:
            hint = "make it two upstreams"
            draft.refuse(path, "mixed-endpoints", "all endpoints of an upstream speak TLS (https) or none does", hint)
        elif url.tls and url.is_ip != urls[0].is_ip and not named:
            hint = "their certificates are checked in different ways; add tls.sni, or make it two upstreams"
            draft.refuse(path, "mixed-endpoints", "https endpoints are all IP addresses or all names", hint)


def _health_check(written: HealthCheck) -> model.HealthCheck:
    return model.HealthCheck(
        kind="http" if written.path is not None else "tcp" if written.tcp else "grpc",
        path=written.path or written.grpc or "",
        host=written.host,
        statuses=tuple(map(_range, written.statuses)),
        interval=written.interval,
        timeout=written.timeout,
        unhealthy_threshold=written.unhealthy_threshold,
        healthy_threshold=written.healthy_threshold,
    )


def _range(statuses: str) -> tuple[int, int]:
    first, _, last = statuses.partition("-")
    return int(first), int(last or first)


def _circuit_breaker(written: CircuitBreaker) -> model.CircuitBreaker:
    return model.CircuitBreaker(
        consecutive_failures=written.consecutive_failures,
        open_for=written.open_for,
        max_connections=written.max_connections,
        max_pending_requests=written.max_pending_requests,
        max_requests=written.max_requests,
        max_retries=written.max_retries,
        gateway_failures=written.gateway_failures,
        failure_rate=written.failure_rate.above if written.failure_rate else None,
        failure_requests=written.failure_rate.requests if written.failure_rate else 50,
        max_ejected=written.max_ejected,
        retry_budget=written.retry_budget,
    )
