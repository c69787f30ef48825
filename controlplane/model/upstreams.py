"""Upstreams: where requests go and what protects them. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from controlplane.model.tls_files import CertificateFiles

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label and value, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of an upstream."""

    host: str
    """An IP address, or a DNS name when :attr:`Upstream.discovery` is ``dns``."""
    port: int
    weight: int = 1
    priority: int = 0
    """0 first."""
    region: str = ""
    zone: str = ""
    labels: Labels = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetList:
    """A list of endpoints that is kept elsewhere."""

    kind: Literal["file", "http"]
    place: str
    """A path below the folder of lists, or a URL."""
    at_least: int = 1
    """Fewer endpoints than this are a mistake of the list."""
    networks: tuple[str, ...] = ()
    """Ranges in which endpoints may be; empty is all that lead to other machines."""
    interval: float = 1.0
    timeout: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """An active check."""

    path: str
    """Of a check by HTTP; of one by gRPC the service."""
    interval: float
    timeout: float
    unhealthy_threshold: int
    healthy_threshold: int
    kind: Literal["http", "grpc", "tcp"] = "http"
    host: str | None = None
    """``None`` is the endpoint's own."""
    statuses: tuple[tuple[int, int], ...] = ((200, 299),)
    """Ranges of healthy answers, both ends included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashKey:
    """What of a request decides which endpoint gets it."""

    kind: Literal["header", "cookie", "query", "client_ip"]
    name: str = ""
    ttl: float | None = None
    """For how long a client is given the cookie; 0 until its browser ends; ``None`` never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Bulkhead limits, and the breaker that opens after failures in a row."""

    consecutive_failures: int | None
    """5xx answers or connection failures in a row that take an endpoint out; ``None`` never does."""
    open_for: float
    max_connections: int
    max_pending_requests: int
    max_requests: int
    max_retries: int
    gateway_failures: int | None = None
    """The same of 502, 503, 504 and connection failures alone."""
    failure_rate: float | None = None
    """The part of failures among :attr:`failure_requests` or more that takes an endpoint out."""
    failure_requests: int = 50
    max_ejected: float = 1.0
    retry_budget: float | None = None
    """Retries as a part of the requests in flight; :attr:`max_retries` are always allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionControl:
    """Refusals by chance, by how many requests of the last :attr:`window` succeeded."""

    success_rate: float
    window: float
    requests_per_second: int
    max_refused: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """TLS with endpoints."""

    ca: str | None = None
    """Path on Envoy's machine; ``None`` is the machine's own authorities."""
    client_certificate: CertificateFiles | None = None
    sni: str | None = None
    """``None`` is each endpoint's own name."""
    names: tuple[str, ...] = ()
    """Host names, IP addresses and URIs of which certificates have to be for one; none is :attr:`sni`, or without it
    each endpoint's own host."""
    min_version: Literal["1.2", "1.3"] = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A named group of endpoints."""

    name: str
    endpoints: tuple[Endpoint, ...]
    discovery: Literal["static", "dns", "list"]
    tls: UpstreamTls | None
    """``None`` is in the clear (``http://``)."""
    http2: bool
    load_balancing: Literal["round_robin", "least_request", "random", "ring_hash", "maglev"]
    connect_timeout: float
    health_check: HealthCheck | None
    circuit_breaker: CircuitBreaker
    hash_on: tuple[HashKey, ...] = ()
    prefer_own_zone: int | None = None
    """How many endpoints of a node's own region and zone have to be well so that they alone get its requests."""
    subsets: tuple[tuple[str, ...], ...] = ()
    """Sets of labels that routes choose endpoints by; all sorted."""
    admission_control: AdmissionControl | None = None
    slow_start: float | None = None
    panic_threshold: float = 0.0
    max_connection_age: float | None = None
    max_requests_per_connection: int | None = None
    proxy_protocol: Literal["v1", "v2"] | None = None
    discover: TargetList | None = None
    """Where the endpoints are listed when :attr:`discovery` is ``list``: there are none here then."""
    fallback: str | None = None
    """The upstream that gets the requests when no endpoint of this one is well."""
