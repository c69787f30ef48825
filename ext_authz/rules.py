"""What a policy has become: rules with everything that can be worked out before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ext_authz.authorization import Authorization
from ext_authz.forwarding import ForwardedClaim
from ext_authz.introspection import Introspection
from ext_authz.issuer_client import IssuerEndpoint
from ext_authz.jwt import JwtPolicy, TokenLimits
from ext_authz.keys import KeySet
from ext_authz.token_places import Find
from servicekit.contracts import TokenPlace

KEY_PREFIX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where one provider's keys come from and how long they last. Times are seconds."""

    provider: str
    ttl: float
    stale: float
    cooldown: float
    uri: str = ""
    """Where they are fetched, or the metadata that says where."""
    issuer: str = ""
    """Whose metadata are at :attr:`uri`; empty when the keys themselves are."""
    allow_insecure: bool = False
    """Whether metadata may name a URL without TLS."""
    reference: str = ""
    """To the secret, or to the file that holds them."""
    secret_for: frozenset[str] = frozenset()
    """The HMAC algorithms of what :attr:`reference` leads to; none when it leads to public keys."""
    given: KeySet | None = field(default=None, compare=False, repr=False)
    """Keys that are there when the policy comes."""
    version: bytes = b""
    """That of :attr:`given`: other keys make another source."""

    @property
    def fixed(self) -> bool:
        """Whether nothing but another policy can bring other keys."""
        return self.given is not None and not self.reference.startswith("file:")

    @property
    def location(self) -> str:
        """Where the keys are, for people; empty for those of the policy itself."""
        return self.uri or self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """How tokens of one provider are renewed, and the cookies that they are in."""

    endpoint: IssuerEndpoint
    access_cookie: str
    refresh_cookie: str
    path: str
    same_site: str
    secure: bool
    lifetime: int | None
    """Seconds that browsers keep the refresh token; ``None`` until they are closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtCheck:
    """Tokens of one provider."""

    provider: str
    policy: JwtPolicy
    source: KeySource
    forward: tuple[ForwardedClaim, ...]
    places: tuple[TokenPlace, ...]
    """Where its tokens stand."""
    forward_token: bool
    tier: ForwardedClaim | None = None
    """Where its tokens say their tier."""
    revocation: Literal["deny", "allow"] | None = None
    """Whether the list of revocations counts, and what becomes of tokens while it was never read."""
    refresh: Refresh | None = None
    """How an expired one is renewed."""
    introspection: Introspection | None = None
    """How its issuer is asked about it; ``None`` for tokens that are verified here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGroup:
    """The checks that look for their token in the same places."""

    checks: tuple[JwtCheck, ...]
    find: Find
    fingerprint: bytes
    """What answers for its tokens are filed under."""


@dataclass(frozen=True, slots=True)
class ApiKeyHash:
    """One API key as the policy knows it."""

    digest: bytes
    """SHA-256 of the key."""
    key_id: str
    tier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCheck:
    """API keys of one provider."""

    provider: str
    header: str
    keys: Mapping[bytes, tuple[ApiKeyHash, ...]]
    """By the first :data:`KEY_PREFIX` octets of the digest; the rest is compared in constant time."""
    forward_id: str | None
    forward_key: bool
    managed: bool = False
    """Whether keys count too that were made while the gateway runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one kind of route asks of a request. Credentials that any one check accepts are enough."""

    rule_id: str
    fingerprint: bytes
    """Differs between any two rules that could decide differently: what a cached answer is filed under."""
    tokens: tuple[TokenGroup, ...]
    api_keys: tuple[ApiKeyCheck, ...]
    scopes: frozenset[str]
    """All of these the credentials have to grant."""
    authorization: Authorization
    """What else is asked of who has them."""
    identity_headers: frozenset[str]
    """Removed from the request unless set by the check itself."""
    limits: TokenLimits
    parts: tuple[Rule, ...] = ()
    """Rules that all have to be met, in the place of this one's own checks; the first says who is calling."""
    refresh_cookies: frozenset[str] = frozenset()
    """Cookies that no backend gets to see, for they hold refresh tokens."""
    is_witness: bool = False
    """Whether another rule says who is calling."""

    @property
    def jwt(self) -> tuple[JwtCheck, ...]:
        """Every check of tokens."""
        own = tuple(check for group in self.tokens for check in group.checks)
        return own + tuple(check for part in self.parts for check in part.jwt)

    @property
    def managed_keys(self) -> tuple[ApiKeyCheck, ...]:
        """Every check of API keys that are made while the gateway runs."""
        own = tuple(check for check in self.api_keys if check.managed)
        return own + tuple(check for part in self.parts for check in part.managed_keys)
