"""The port of the API keys that are made while the gateway runs. What is kept of a secret is a keyed hash."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret. Its id stays when it is rotated."""

    id: str
    provider: str
    """The document's name of the provider that it is for."""
    owner: str
    """Whose it is."""
    tier: str
    """What the owner is worth; empty for nothing in particular."""
    scopes: tuple[str, ...]
    """What it grants (RFC 6749 §3.3)."""
    metadata: Mapping[str, str]
    """What its makers want to remember of it."""
    digest: str
    """Keyed hash of its secret."""
    previous_digest: str
    """Keyed hash of the secret before it was rotated; empty when it never was."""
    previous_until: datetime | None
    """Until when the secret before is good too."""
    created_at: datetime
    rotated_at: datetime | None
    expires_at: datetime | None
    """``None`` for never."""
    revoked_at: datetime | None
    change: int
    """The number of the change that made it what it is; every change to any key has its own, and they only grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Which keys are asked for; ``None`` is any."""

    provider: str | None = None
    owner: str | None = None
    is_revoked: bool | None = None


class NoSuchKeyError(Exception):
    """There is no key of this id, or it was revoked."""


class KeyChangedError(Exception):
    """Somebody else changed the key first."""


class ApiKeyStore(Protocol):
    """Keeps API keys. Every method raises :class:`StoreError` when it can't."""

    async def create(self, key: ApiKey) -> ApiKey:
        """Keep a new key; its :attr:`~ApiKey.change` is given here."""
        ...

    async def find(self, key_id: str) -> ApiKey | None:
        """A key, also one that was revoked or is over; ``None`` when there is none of this id."""
        ...

    async def page(self, wanted: KeyFilter, after: str | None = None, limit: int = 50) -> tuple[ApiKey, ...]:
        """At most ``limit`` (1 to 500) keys, newest first, of those that come after the one of the id ``after``."""
        ...

    async def replace(self, key: ApiKey) -> ApiKey:
        """Put ``key`` in the place of the one of its id, which has to be as ``key.change`` says.

        Raises:
            NoSuchKeyError: there is none, or it was revoked.
            KeyChangedError: it is not as it was.
        """
        ...

    async def revoke(self, key_id: str) -> bool:
        """Make it invalid for good; ``False`` when there is none of this id. Twice is as good as once."""
        ...

    async def changed_since(self, change: int, limit: int) -> tuple[ApiKey, ...]:
        """At most ``limit`` keys as they are now, whose last change is after ``change``, in the order of changes."""
        ...

    def changes(self) -> AsyncIterator[int]:
        """The number of the last change: now, and again whenever there are others, in whichever replica."""
        ...
