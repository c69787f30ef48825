"""Upstreams: where requests go and what protects them. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of an upstream."""

    host: str
    """An IP address, or a DNS name when :attr:`Upstream.discovery` is ``dns``."""
    port: int
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """An active HTTP check; 200 to 299 is healthy."""

    path: str
    interval: float
    timeout: float
    unhealthy_threshold: int
    healthy_threshold: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A named group of endpoints."""

    name: str
    endpoints: tuple[Endpoint, ...]
    discovery: Literal["static", "dns"]
    tls: bool
    """Whether the endpoints speak TLS (``https://``)."""
    http2: bool
    load_balancing: Literal["round_robin", "least_request", "random"]
    connect_timeout: float
    health_check: HealthCheck | None
    circuit_breaker: CircuitBreaker
