"""Policies: identity providers and rate limits. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from servicekit.contracts.limit_callers import asked_early, counted_by

Algorithm: TypeAlias = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]  # fmt: skip


LimitAlgorithm: TypeAlias = Literal["token_bucket", "fixed_window", "sliding_window", "concurrency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """Where in a request a token may stand."""

    kind: Literal["header", "cookie", "query"]
    name: str
    prefix: str = ""
    """Of a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefresh:
    """How expired tokens in a cookie are renewed (RFC 6749 §6)."""

    token_uri: str
    client_id: str
    client_secret: str | None
    """A reference."""
    access_cookie: str
    refresh_cookie: str
    path: str
    same_site: Literal["Strict", "Lax", "None"]
    secure: bool
    lifetime: int | None
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """How an issuer is asked about its tokens (RFC 7662)."""

    uri: str
    client_id: str
    client_secret: str | None
    """A reference."""
    ttl: float
    """Seconds that an answer counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtProvider:
    """Tokens of one issuer: JWTs, unless there is :attr:`introspection`."""

    name: str
    issuer: str | None
    """``None`` is any."""
    audiences: tuple[str, ...] | None
    """``None`` is any."""
    algorithms: tuple[Algorithm, ...]
    jwks_uri: str | None
    leeway: float
    jwks_ttl: float
    jwks_stale: float
    forward_claims: Mapping[str, str]
    """Claim to request header, in lower case."""
    jwks: str | None = None
    """A JWK Set as JSON text, instead of one at :attr:`jwks_uri`."""
    jwks_file: str | None = None
    """A reference to a file with keys, instead."""
    pem: str | None = None
    """Public keys, instead."""
    secret: str | None = None
    """A reference to a secret, instead of any keys."""
    discovery: bool = False
    """The issuer's own metadata say where its keys are."""
    required_claims: tuple[str, ...] = ("exp", "sub")
    types: tuple[str, ...] = ()
    """Accepted ``typ``; none at all are those of access tokens."""
    max_lifetime: float | None = None
    token_from: tuple[TokenPlace, ...] = ()
    """None at all are ``Authorization: Bearer``."""
    forward_token: bool = True
    tier_claim: str | None = None
    revocation: Literal["deny", "allow"] | None = None
    """Whether the list of revocations counts, and what becomes of tokens while it was never read."""
    refresh: TokenRefresh | None = None
    introspection: Introspection | None = None
    """Instead of any keys."""

    @property
    def kind(self) -> str:
        """What the document calls it."""
        return "jwt" if self.introspection is None else "introspection"

    @property
    def has_user(self) -> bool:
        """Whether every token names its user."""
        return "sub" in self.required_claims


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyProvider:
    """API keys that stand in the document as SHA-256 hashes, and those that are made while the gateway runs."""

    name: str
    header: str
    keys: Mapping[str, str]
    """Key id to 64 lower-case hex digits."""
    forward_id: str | None
    tiers: Mapping[str, str] = field(default_factory=dict)
    """Key id to tier."""
    managed: bool = False
    """Whether keys count that are made while the gateway runs."""


IdentityProvider = JwtProvider | ApiKeyProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How much some callers may do."""

    ruling: Literal["amount", "unlimited", "denied"] = "amount"
    """So much, all, or nothing."""
    requests: int = 0
    period: float = 0.0
    burst: int = 0
    priority: int | None = None
    """How urgent requests are that wait; ``None`` is what the route says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier(Grant):
    """What callers of one tier may do."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMatch:
    """What one part of a caller has to be."""

    part: str
    kind: Literal["exact", "prefix", "regex"]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Grant):
    """What callers may do for whom everything in :attr:`when` holds."""

    when: tuple[PartMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Where it stands how many requests a request counts as."""

    place: Literal["request", "response"]
    header: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A token bucket, or windows, per caller."""

    name: str
    by: tuple[str, ...]
    """What callers are told apart by, as the document writes it; empty is everyone together."""
    claim_headers: Mapping[str, str] = field(default_factory=dict)
    """The header of each claim in :attr:`by`."""
    enforce: Literal["shared", "local", "quota"] = "shared"
    """``local`` is in each Envoy by itself, ``quota`` too, each a share."""
    algorithm: LimitAlgorithm = "token_bucket"
    requests: int
    period: float
    burst: int
    on_store_failure: Literal["local", "allow", "deny"]
    tiers: tuple[Tier, ...] = ()
    cases: tuple[Case, ...] = ()
    """The first that fits."""
    cost: int | Cost = 1
    """How many requests a request counts as."""
    when_exceeded: Literal["refuse", "queue", "degrade", "shadow"] = "refuse"
    max_wait: float = 0.0
    max_waiting: int = 0
    headers: Literal["both", "separate", "structured", "none"] = "both"
    """Which tell callers what they have left."""

    @property
    def by_text(self) -> str:
        """:attr:`by`, as descriptors have it."""
        return counted_by(self.by)

    @property
    def is_early(self) -> bool:
        """Whether it is asked for before authentication."""
        return asked_early(self.by)

    @property
    def waits(self) -> bool:
        """Whether its requests wait for their turn."""
        return self.when_exceeded == "queue"
