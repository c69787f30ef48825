"""``upstreams``: where requests go, and what protects them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from controlplane.config.admission_control import AdmissionControl
from controlplane.config.balancing import HashOn
from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.health_checks import HealthCheck
from controlplane.config.percent import Percent
from controlplane.config.target_lists import Discover
from controlplane.config.texts import Label, LabelValue, Name
from controlplane.config.upstream_tls import UpstreamTls
from controlplane.config.urls import EndpointUrlText

_MAX_CONCURRENT = 1_000_000


PlaceName = Annotated[str, Field(max_length=253)]


class Endpoint(Section):
    """One address of an upstream. Its URL alone is enough, as text."""

    url: EndpointUrlText
    """`http://host:port` or `https://host:port`. An IP address is used as it is, a name is resolved by DNS."""
    weight: int = Field(default=1, ge=1, le=128)
    """Its share of the requests, relative to the others'."""
    priority: int = Field(default=0, ge=0, le=10)
    """Endpoints of priority 1 get requests when too few of priority 0 are well, and so on."""
    region: PlaceName = ""
    """Where it is, as nodes say it of themselves (`GATEWAY_NODE_REGION`)."""
    zone: PlaceName = ""
    """Where in the region it is (`GATEWAY_NODE_ZONE`)."""
    labels: dict[Label, LabelValue] = Field(default={}, max_length=20)
    """What the `subset` of a route chooses endpoints by."""


def _from_url(value: Any) -> Any:
    if isinstance(value, str):
        return {"url": value}
    if not isinstance(value, (dict, Endpoint)):
        raise mistake("type", "expected a URL, or a mapping with one", "write it as http://host:port")
    return value


class FailureRate(Section):
    """A share of failed requests that takes an endpoint out."""

    above: Annotated[float, Percent(least=0.01)]
    """5xx answers and failed connections among its requests of the last 5 s, at least."""
    requests: int = Field(default=50, ge=1, le=_MAX_CONCURRENT)
    """Of fewer requests in that time no share is taken."""


class CircuitBreaker(Section):
    """Fast failures instead of slow ones: a breaker for each endpoint, and limits for the upstream (bulkheads)."""

    consecutive_failures: int | None = Field(default=None, ge=1, le=10_000)
    """5xx answers or failed connections in a row that take an endpoint out; without it, none does."""
    gateway_failures: int | None = Field(default=None, ge=1, le=10_000)
    """502, 503, 504 or failed connections in a row that take an endpoint out."""
    failure_rate: FailureRate | None = None
    """A share of failures that takes an endpoint out, in a row or not."""
    max_ejected: Annotated[float, Percent(least=0.01)] = 1.0
    """How much of the upstream may be out at a time because of all this; one endpoint may always."""
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
    retry_budget: Annotated[float, Percent(least=0.0001)] | None = None
    """Retries in flight as a share of all requests in flight, but `max_retries` at least."""


class Upstream(OneOf):
    """A named group of endpoints."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("endpoints", "discover")

    name: Name
    """What routes call it."""
    endpoints: list[
        Annotated[Endpoint, BeforeValidator(_from_url, json_schema_input_type=EndpointUrlText | Endpoint)]
    ] = Field(default=[], min_length=1, max_length=1000)
    """Its addresses; all speak TLS (`https`) or none does."""
    discover: Discover | None = None
    """A list of its addresses that is kept elsewhere and changes by itself. They speak TLS when `tls` names whom their
    certificates are for, plain HTTP without it."""
    load_balancing: Literal["round_robin", "least_request", "random", "ring_hash", "maglev"] = "round_robin"
    """Which endpoint gets the next request. The last two go by `hash_on`."""
    hash_on: HashOn | None = None
    """What ties requests to an endpoint: all of these together, of those that a request has; without any, chance."""
    prefer_own_zone: int | None = Field(default=None, ge=1, le=1000)
    """While so many endpoints of a node's own region and zone are well, they get all of its requests; else all
    endpoints do, wherever they are. Of priority 0, and not for `ring_hash` and `maglev`."""
    slow_start: Annotated[float, Duration(least=1, most=3600)] | None = None
    """How long a new endpoint's share grows until it is whole; for `round_robin` and `least_request`."""
    panic_threshold: Annotated[float, Percent()] = 0.0
    """When less of the upstream is well, all endpoints get requests, the sick ones too; `0%` is never."""
    tls: UpstreamTls | None = None
    """Whom the gateway believes and what it shows; for `https` endpoints, which are checked without it too."""
    http2: bool = False
    """Speak HTTP/2 to the endpoints (gRPC needs it); HTTP/1.1 otherwise."""
    connect_timeout: Annotated[float, Duration(least=0.01, most=300)] = 2.0
    """How long a connection may take to open."""
    max_connection_age: Annotated[float, Duration(least=1, most=86_400)] | None = None
    """How long a connection is used for new requests."""
    max_requests_per_connection: int | None = Field(default=None, ge=1, le=_MAX_CONCURRENT)
    """How many requests a connection is used for."""
    proxy_protocol: Literal["v1", "v2"] | None = None
    """Tell the endpoint the client's address before everything else. Each client has connections of its own then."""
    health_check: HealthCheck | None = None
    """Active checks; without it, endpoints are taken to be healthy."""
    fallback: Name | None = None
    """The upstream that gets the requests while no endpoint of this one is well; a health check or a breaker tells."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """Limits and the breaker."""
    admission_control: AdmissionControl | None = None
    """Which share of requests is refused while others fail; without it, none."""

    @model_validator(mode="after")
    def _zones_are_known(self) -> Self:
        if self.prefer_own_zone is not None:
            if self.hash_on is not None:
                hint = "take round_robin, least_request or random"
                raise mistake("own-zone", f"{self.load_balancing} goes by the request alone", hint)
            if self.discover is None and not any(endpoint.region or endpoint.zone for endpoint in self.endpoints):
                raise mistake("own-zone", "no endpoint says where it is", "give the endpoints a region or a zone")
        return self

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        way, by_hash = self.load_balancing, self.load_balancing in ("ring_hash", "maglev")
        if by_hash and self.hash_on is None:
            raise mistake("hash-on", f"{way} needs to know by what", "add hash_on")
        if self.hash_on is not None and not by_hash:
            raise mistake("hash-on", f"{way} asks for nothing of the request", "take ring_hash or maglev")
        if self.slow_start is not None and way not in ("round_robin", "least_request"):
            raise mistake("slow-start", f"{way} has no slow start", "take round_robin or least_request")
        if self.health_check is not None and self.health_check.grpc is not None and not self.http2:
            raise mistake("grpc", "a check by gRPC speaks HTTP/2", "add http2: true")
        if self.discover is not None and self.tls is not None and not (self.tls.sni or self.tls.names):
            raise mistake("tls", "nothing says whom the certificates of listed endpoints are for", "add sni or names")
        there = {endpoint.priority for endpoint in self.endpoints}
        if gaps := {*range(max(there, default=0))} - there:
            hint = "priorities begin at 0 and leave none out"
            raise mistake("priority", f"no endpoint has priority {min(gaps)}", hint)
        return self
