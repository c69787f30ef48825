"""Policies: identity providers and rate limits. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtProvider:
    """Tokens of one issuer."""

    name: str
    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA"], ...]
    jwks_uri: str
    leeway: float
    jwks_ttl: float
    jwks_stale: float
    forward_claims: Mapping[str, str]
    """Claim to request header, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyProvider:
    """API keys that stand in the document as SHA-256 hashes."""

    name: str
    header: str
    keys: Mapping[str, str]
    """Key id to 64 lower-case hex digits."""
    forward_id: str | None


IdentityProvider = JwtProvider | ApiKeyProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A token bucket per caller."""

    name: str
    by: Literal["user", "api_key", "ip"]
    requests: int
    period: float
    burst: int
    on_store_failure: Literal["local", "allow", "deny"]
