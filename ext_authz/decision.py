"""What becomes of one credential of a request, in plain types: yes, no, or who has to be asked first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ext_authz.authorization import NOBODY, Caller
from ext_authz.denials import Deny, Unavailable
from ext_authz.introspection import Introspection
from ext_authz.key_book import Shelf
from ext_authz.revocations import Revocable
from ext_authz.rules import KeySource


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is calling."""

    provider: str
    user: str | None
    """The caller across all providers; unambiguous, since no provider's name holds a colon."""
    user_id: str | None = None
    """The caller as its provider names it (``sub``)."""
    api_key: str | None = None
    """The API key by provider and id; as unambiguous."""
    tier: str | None = None
    """What the caller is worth, as its provider says."""
    scopes: str | None = None
    """What the credentials grant, sorted, separated by spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The request may pass, changed like this."""

    identity: Identity
    caller: Caller = NOBODY
    """What is asked with each request."""
    set_headers: Mapping[str, str]
    remove_headers: tuple[str, ...]
    remove_cookies: frozenset[str] = frozenset()
    remove_parameters: tuple[str, ...] = ()
    """Query parameters."""
    expires_at: float
    """When the credentials end, seconds since the epoch."""
    source: KeySource | Shelf | None = None
    """Whose keys vouched, or among which the API key is; the answer must not outlive them."""
    revocable: Revocable | None = None
    """What to look for among revocations, each time; ``None`` where they don't count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsKeys:
    """Nothing can be said without (newer) keys: none at all, or none called ``kid``."""

    source: KeySource
    kid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsIntrospection:
    """Nothing can be said before its issuer was asked about the token."""

    introspection: Introspection
    token: str = field(repr=False)


Decision: TypeAlias = Allow | Deny | NeedsKeys | NeedsIntrospection | Unavailable
