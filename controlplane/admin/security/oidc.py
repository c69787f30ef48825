"""JSON Web Tokens of one OpenID Connect issuer, and the roles that their claims give (RFC 7519, RFC 8725)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from controlplane.admin.security.identity import Credentials, Identity, Role
from controlplane.admin.security.issuer_keys import IssuerKeys

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones only: who can check a token must not be able to make one."""
_LEEWAY_SECONDS = 30
_LONGEST_SUBJECT = 256
_END_OF_TIME = 253_402_300_000.0
"""Of dates, in Unix time: the year 9999."""
# What hostile bytes can make the parsers of tokens, JSON and numbers say, too.
_NO_TOKEN = (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose tokens are taken, and what they are worth."""

    issuer: str
    """The ``iss`` claim."""
    audience: str
    """One of the ``aud`` claim."""
    role_claim: str
    """The claim that holds words which stand for roles: its name, or the way to it with dots."""
    roles: Mapping[str, Role]
    """What these words stand for; the highest counts."""


class OidcTokens:
    """Proves who is asking by a token of ``issuer``."""

    def __init__(self, issuer: Issuer, keys: IssuerKeys) -> None:
        self._issuer = issuer
        self._keys = keys

    async def identify(self, credentials: Credentials) -> Identity | None:
        """The subject of a token that is signed by the issuer, for this audience, and has not expired."""
        token = credentials.bearer
        if token is None or token.count(".") != 2:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except _NO_TOKEN:
            return None
        if header.get("alg") not in ALGORITHMS:
            return None
        kid = header.get("kid")
        for key in await self._keys.candidates(kid if isinstance(kid, str) else None):
            claims = self._verified(token, key, header["alg"])
            if claims is not None:
                return self._identity(claims)
        return None

    def _verified(self, token: str, key: jwt.PyJWK, algorithm: str) -> Mapping[str, Any] | None:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._issuer.audience,
                issuer=self._issuer.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return claims if float(claims["exp"]) < _END_OF_TIME else None
        except _NO_TOKEN:
            return None

    def _identity(self, claims: Mapping[str, Any]) -> Identity | None:
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST_SUBJECT:
            return None
        name = f"oidc:{subject}"
        words = _words(claims, self._issuer.role_claim)
        order = list(Role)
        role = max(
            (self._issuer.roles[word] for word in words if word in self._issuer.roles), key=order.index, default=None
        )
        return Identity(
            name=name, method="oidc", role=role, key=name, expires_at=float(claims["exp"]) + _LEEWAY_SECONDS
        )


def _words(claims: Mapping[str, Any], name: str) -> list[str]:
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for step in name.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
