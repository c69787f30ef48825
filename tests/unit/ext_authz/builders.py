"""Policies and sources for the tests of this package."""

from __future__ import annotations

from typing import Any

from ext_authz.rules import KeySource
from servicekit.contracts import ApiKeyProvider, AuthPolicy, AuthRule, JwtProvider
from tests.harness.tokens import AUDIENCE, ISSUER

RULE = "platform~0123456789ab"


def jwt_provider(**changes: Any) -> JwtProvider:
    """A provider with one header."""
    members: dict[str, Any] = {
        "name": "platform",
        "issuer": ISSUER,
        "audiences": (AUDIENCE,),
        "algorithms": ("RS256", "ES256", "EdDSA"),
        "jwks_uri": "https://id.example.com/jwks",
        "leeway_seconds": 0,
        "jwks_ttl_seconds": 300,
        "jwks_stale_seconds": 600,
        "forward_claims": {"sub": "x-user-id"},
    }
    return JwtProvider(**(members | changes))


def api_key_provider(**changes: Any) -> ApiKeyProvider:
    """A provider with no key yet."""
    members: dict[str, Any] = {"name": "machines", "header": "x-api-key", "keys": {}, "forward_id": "x-machine"}
    return ApiKeyProvider(**(members | changes))


def auth_policy(*providers: JwtProvider | ApiKeyProvider, **rule: Any) -> AuthPolicy:
    """A policy with one rule that takes any of ``providers``."""
    return AuthPolicy(
        providers=providers,
        rules={RULE: AuthRule(any_of=tuple(provider.name for provider in providers), **rule)},
        identity_headers=("x-machine", "x-user-id"),
    )


def key_source(**changes: Any) -> KeySource:
    """A source that is refreshed after 300 s and lasts 600 s more."""
    members: dict[str, Any] = {
        "provider": "platform",
        "uri": "https://id.example.com/jwks",
        "ttl": 300.0,
        "stale": 600.0,
        "cooldown": 10.0,
    }
    return KeySource(**(members | changes))


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now
