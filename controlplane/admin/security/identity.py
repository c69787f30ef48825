"""Who is asking, and what they may do. Decisions without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

WHOAMI = "/whoami"
"""Everybody who is known may ask this."""


class Role(StrEnum):
    """What somebody may do; each may also do what those before it may."""

    VIEWER = "viewer"
    """Read everything but tokens, audit log and export; validate and plan."""
    OPERATOR = "operator"
    """Change the document."""
    ADMIN = "admin"
    """Tokens, audit log, export and import."""

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who has proven who they are."""

    name: str
    """As the history and the audit log name them: ``token:<name>``, ``oidc:<subject>``, ``certificate:<name>``."""
    method: str
    """How it was proven: ``admin-token``, ``token``, ``oidc`` or ``certificate``."""
    role: Role | None
    """``None``: known, but nobody gave them a role."""
    scopes: tuple[str, ...] = ()
    """Beginnings of paths below ``/api/v1`` that they may use; none for all."""
    key: str = ""
    """What their requests are counted under."""
    expires_at: float | None = None
    """Unix time."""
    token_id: str | None = None

    def reaches(self, path: str) -> bool:
        """Whether the scopes let them use ``path`` (below ``/api/v1``, decoded)."""
        return not self.scopes or path == WHOAMI or path.startswith(self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request brings to prove who is asking."""

    bearer: str | None = None
    """Of the Authorization header."""
    names: tuple[str, ...] = ()
    """Names in the client certificate that TLS has verified."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to prove anything with."""
        return self.bearer is None and not self.names


class Unprovable(Exception):  # noqa: N818  not the asker's mistake, and not ours
    """Nobody can tell now who is asking: what would know does not answer."""


class Authenticator(Protocol):
    """One way to prove who is asking."""

    async def identify(self, credentials: Credentials) -> Identity | None:
        """Who is asking; ``None`` when these credentials prove nothing here.

        Raises:
            Unprovable: that can't be said now.
        """
        ...


class FirstThatKnows:
    """Asks several ways, in order."""

    def __init__(self, ways: tuple[Authenticator, ...]) -> None:
        self._ways = ways

    async def identify(self, credentials: Credentials) -> Identity | None:
        """The first answer that is one."""
        unprovable: Unprovable | None = None
        for way in self._ways:
            try:
                identity = await way.identify(credentials)
            except Unprovable as error:
                unprovable = error
                continue
            if identity is not None:
                return identity
        if unprovable is not None:
            raise unprovable
        return None
