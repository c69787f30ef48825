"""Routes: which request goes where under which policies. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from controlplane.model.actions import Action, HeaderChanges, Replacement
from controlplane.model.address_rules import AddressRules
from controlplane.model.cors import Cors


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    """How a path is compared."""

    kind: Literal["prefix", "exact", "template", "regex"]
    """``prefix`` compares whole segments: ``/api`` matches ``/api`` and ``/api/x``, not ``/apix``.
    ``template`` is one of :mod:`controlplane.model.path_templates`."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueMatch:
    """How one header, query parameter or cookie is compared."""

    name: str
    kind: Literal["exact", "regex", "present", "absent"]
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    """Every part has to match."""

    path: PathMatch
    hosts: tuple[str, ...]
    """Host names, exact or with a leading ``*.``; ``("*",)`` is every host."""
    methods: tuple[str, ...]
    """Empty is every method."""
    headers: tuple[ValueMatch, ...]
    query: tuple[ValueMatch, ...] = ()
    cookies: tuple[ValueMatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCondition:
    """What one claim of the token has to be."""

    path: str
    operator: Literal["equals", "any_of", "all_of"]
    values: tuple[str | bool | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What is asked of a caller who is known; a part that is empty always holds."""

    roles: tuple[str, ...] = ()
    roles_claim: str = "roles"
    claims: tuple[ClaimCondition, ...] = ()
    methods: tuple[str, ...] = ()
    client_ips: tuple[str, ...] = ()
    expression: str = ""
    """In CEL."""

    @property
    def asks_token(self) -> bool:
        """Whether only a token can do."""
        return bool(self.roles or self.claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Bytes of bodies in a second; ``None`` is as many as come."""

    requests: int | None = None
    responses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Which answers are kept."""

    ttl: float
    """How long answers are fresh that say nothing of it; 0 keeps none of those."""
    max_ttl: float
    max_body: int
    """Bytes."""
    callers: Literal["none", "each", "all"]
    """Whose: of requests without credentials, of each caller by itself, one for all."""
    stale_if_error: float = 0.0
    """How long after their end answers stand in for an upstream that fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When and how a request is sent again."""

    attempts: int
    """Retries after the first try; 0 is none."""
    conditions: tuple[str, ...]
    """Envoy's ``retry_on`` words, such as ``connect-failure`` and ``5xx``."""
    per_try_timeout: float | None
    backoff_base: float
    backoff_max: float
    methods: tuple[str, ...]
    """Only these are retried, for they are idempotent (RFC 9110 §9.2.2); empty is every method."""
    statuses: tuple[int, ...] = ()
    """Answers that are tried again besides."""
    retry_after: bool = False
    """Whether an answer says how long to wait (RFC 9110 §10.2.3)."""
    hedge: bool = False
    """Whether the first try goes on after :attr:`per_try_timeout`, beside the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule of the routing table."""

    name: str
    """Unique in the gateway; the ``path`` label of the metrics and the route name of the access log."""
    match: RouteMatch
    action: Action
    authenticate: tuple[str, ...]
    """Identity providers; empty is open to all."""
    scopes: tuple[str, ...]
    """What the caller's token has to grant, all of them (RFC 6749 §3.3)."""
    rate_limits: tuple[str, ...]
    timeout: float
    """Seconds for the whole exchange; 0 is none."""
    retry: RetryPolicy
    labels: Mapping[str, str] = field(default_factory=dict)
    """What node groups choose routes by."""
    quota: str | None = None
    """What its requests count for that Envoys count by shares."""
    priority: int = 5
    """Of its requests where they wait; 9 is the most urgent."""
    authorization: Authorization | None = None
    """``None`` asks nothing."""
    authenticate_all: bool = False
    """Whether credentials of all providers are asked, and not of any one."""
    forward_token: bool | None = None
    """Whether the upstream gets the caller's token; ``None`` is what its provider says."""
    refresh: bool = True
    """Whether expired tokens are renewed, if their provider says how."""
    request_headers: HeaderChanges = field(default_factory=HeaderChanges)
    response_headers: HeaderChanges = field(default_factory=HeaderChanges)
    compress: tuple[str, ...] = ()
    """Encodings of RFC 9110 §8.4.1 that clients may ask for."""
    max_body: int | None = None
    bandwidth: Bandwidth = Bandwidth()
    csrf: tuple[str, ...] | None = None
    """Hosts, also with a leading ``*.``, whose pages may change something besides those of the host that is asked;
    ``None`` is everybody's."""
    """Bytes of a request's body."""
    grpc_web: bool = False
    """Whether pages may call gRPC as browsers can."""
    replacements: tuple[Replacement, ...] = ()
    addresses: AddressRules | None = None
    """Clients that may use it."""
    cors: Cors | None = None
    idle_timeout: float | None = None
    max_duration: float | None = None
    cache: Cache | None = None

    @property
    def identified_by(self) -> tuple[str, ...]:
        """The providers that may say who is calling."""
        return self.authenticate[:1] if self.authenticate_all else self.authenticate
