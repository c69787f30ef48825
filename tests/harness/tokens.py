"""An issuer's usual claims and what a gateway asks of them: the ground on which one thing at a time is then changed."""

from __future__ import annotations

from typing import Any

from ext_authz.jwt import JwtPolicy
from ext_authz.keys import KeySet
from tests.harness.jose import SigningKey, jwks

NOW = 1_800_000_000.0
ISSUER = "https://id.example.com"
AUDIENCE = "resumes"
ALL = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that pass; a change to ``None`` leaves the claim out."""
    members = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 300, "iat": NOW - 10} | changes
    return {name: value for name, value in members.items() if value is not None}


def policy(**changes: Any) -> JwtPolicy:
    """A policy that asks for the issuer, the audience and any algorithm."""
    return JwtPolicy(**({"algorithms": ALL, "issuer": ISSUER, "audiences": frozenset({AUDIENCE})} | changes))


def key_set(*keys: SigningKey) -> KeySet:
    """The set that an issuer with these keys publishes."""
    return KeySet.from_jwks(jwks(*(key.jwk() for key in keys)))
