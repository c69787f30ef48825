"""``upstreams``: where requests go, and what protects them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from controlplane.config.base import Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.texts import Name, UrlPath
from controlplane.config.urls import EndpointUrlText

_MAX_CONCURRENT = 1_000_000


class Endpoint(Section):
    """One address of an upstream. Its URL alone is enough, as text."""

    url: EndpointUrlText
    """`http://host:port` or `https://host:port`. An IP address is used as it is, a name is resolved by DNS."""
    weight: int = Field(default=1, ge=1, le=128)
    """Its share of the requests, relative to the others'."""


def _from_url(value: Any) -> Any:
    if isinstance(value, str):
        return {"url": value}
    if not isinstance(value, (dict, Endpoint)):
        raise mistake("type", "expected a URL, or a mapping with one", "write it as http://host:port")
    return value


class HealthCheck(Section):
    """An active HTTP check of each endpoint; an answer of 200 to 299 is healthy."""

    path: UrlPath
    """What is requested."""
    interval: Annotated[float, Duration(least=0.1, most=3600)] = 5.0
    """Time between two checks."""
    timeout: Annotated[float, Duration(least=0.01, most=3600)] = 2.0
    """How long an answer may take."""
    unhealthy_threshold: int = Field(default=3, ge=1, le=100)
    """Failures in a row that take an endpoint out."""
    healthy_threshold: int = Field(default=2, ge=1, le=100)
    """Successes in a row that bring it back."""


class CircuitBreaker(Section):
    """Fast failures instead of slow ones: a breaker for each endpoint, and limits for the upstream (bulkheads)."""

    consecutive_failures: int | None = Field(default=None, ge=1, le=10_000)
    """5xx answers or failed connections in a row that take an endpoint out; without it, none does."""
    open_for: Annotated[float, Duration(least=0.1, most=3600)] = 30.0
    """How long an endpoint stays out the first time."""
    max_connections: int = Field(default=1024, ge=1, le=_MAX_CONCURRENT)
    """Connections to the upstream at a time."""
    max_pending_requests: int = Field(default=1024, ge=1, le=_MAX_CONCURRENT)
    """Requests that wait for a connection at a time."""
    max_requests: int = Field(default=1024, ge=1, le=_MAX_CONCURRENT)
    """Requests in flight at a time."""
    max_retries: int = Field(default=3, ge=0, le=_MAX_CONCURRENT)
    """Retries in flight at a time."""


class Upstream(Section):
    """A named group of endpoints."""

    name: Name
    """What routes call it."""
    endpoints: list[
        Annotated[Endpoint, BeforeValidator(_from_url, json_schema_input_type=EndpointUrlText | Endpoint)]
    ] = Field(min_length=1, max_length=1000)
    """Its addresses; all speak TLS (`https`) or none does."""
    load_balancing: Literal["round_robin", "least_request", "random"] = "round_robin"
    """Which endpoint gets the next request."""
    http2: bool = False
    """Speak HTTP/2 to the endpoints (gRPC needs it); HTTP/1.1 otherwise."""
    connect_timeout: Annotated[float, Duration(least=0.01, most=300)] = 2.0
    """How long a connection may take to open."""
    health_check: HealthCheck | None = None
    """Active checks; without it, endpoints are taken to be healthy."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """Limits and the breaker."""
