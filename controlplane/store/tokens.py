"""The port of the tokens of the admin API. What is kept of a secret is its hash."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from servicekit.credential_text import CredentialForm

TOKEN_TEXT: Final = CredentialForm("gwt")
"""How a token is written."""

TokenRole = Literal["viewer", "operator", "admin"]
ROLES = ("viewer", "operator", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret."""

    id: str
    name: str
    """Whom or what it is for."""
    role: str
    """One of :data:`ROLES`."""
    scopes: tuple[str, ...]
    """Beginnings of the paths that it is good for; empty for all."""
    digest: str
    """:func:`secret_digest` of its secret."""
    created_at: datetime
    expires_at: datetime | None
    """``None`` for never."""
    revoked_at: datetime | None
    last_used_at: datetime | None
    """About when; ``None`` for never."""

    def matches(self, secret: str) -> bool:
        """Whether this is its secret, in a time that tells nothing about it."""
        return hmac.compare_digest(self.digest, secret_digest(secret))

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class TokenStore(Protocol):
    """Keeps tokens. Every method raises :class:`StoreError` when it can't."""

    async def create(
        self, *, name: str, role: str, scopes: tuple[str, ...] = (), expires_at: datetime | None = None
    ) -> tuple[Token, str]:
        """Make a token; what its bearer sends is the second part, is kept nowhere, and can't be had again.

        Raises:
            ValueError: the role is none, or a scope does not begin with a slash.
        """
        ...

    async def find(self, token_id: str) -> Token | None:
        """A token, also one that was revoked or is over; ``None`` when there is none of this id."""
        ...

    async def page(self, after: str | None = None, limit: int = 50) -> tuple[Token, ...]:
        """At most ``limit`` (1 to 500) tokens, newest first, of those that come after the one of the id ``after``."""
        ...

    async def revoke(self, token_id: str) -> bool:
        """Make it invalid for good; ``False`` when there is none of this id. Twice is as good as once."""
        ...

    async def touched(self, token_id: str) -> None:
        """Remember that it was used now. Of many calls, one a minute is written."""
        ...


def secret_digest(secret: str) -> str:
    """SHA-256 of a secret, in lower-case hex.

    A slow hash (Argon2, bcrypt) makes guessing dear where people choose the secret. This one has 256 random bits: there
    is nothing to guess, and a slow hash would only let anybody keep the control plane busy.
    """
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()
