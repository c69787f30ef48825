"""One revision of the document, and the port of what keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

LARGEST_NUMBER = 2**63 - 1
"""What a 64-bit integer column holds."""


class Outcome(StrEnum):
    """What became of a revision on the nodes."""

    PENDING = "pending"
    """Recorded; not every node has answered yet."""
    APPLIED = "applied"
    """Every connected node has acknowledged it."""
    REFUSED = "refused"
    """A node refused it."""
    TIMED_OUT = "timed_out"
    """A node did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionHead:
    """A revision without its text."""

    number: int
    """1 for the first; each is one more than the one before it."""
    created_at: datetime
    """In UTC, by the clock of the replica that wrote it. Only :attr:`number` says what came first."""
    author: str
    origin: str
    """Where the document came from: a file, the environment, the admin API."""
    message: str
    digest: str
    """SHA-256 of the text: 64 lower-case hex digits."""
    outcome: Outcome
    groups: Mapping[str, Any] = field(default_factory=dict)
    """What became of it in each node group: ``{"outcome": …, "refused": {node: words}}`` by group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(RevisionHead):
    """A document that was accepted once, as it was written."""

    text: bytes


class RevisionStore(Protocol):
    """Keeps revisions, for several replicas at a time. Every method raises :class:`StoreError` when it can't."""

    async def record(
        self, text: bytes, *, origin: str, author: str, message: str, digest: str, parent: int | None = None
    ) -> Revision:
        """Add a revision after the newest; when the newest has this very text, give that back and add nothing.

        What was given back is on the disk.

        Args:
            text: the document as it was written.
            origin: where it came from.
            author: who wanted it.
            message: why.
            digest: SHA-256 of ``text`` in lower-case hex.
            parent: the number that the writer believes to be the newest, 0 for none; ``None`` for whichever it is.

        Raises:
            ConflictError: the newest is not ``parent``.
            ValueError: ``digest`` is not that of ``text``.
        """
        ...

    async def newest(self) -> Revision | None:
        """The newest revision; ``None`` before the first."""
        ...

    async def get(self, number: int) -> Revision | None:
        """One revision; ``None`` when it never was, or was pruned."""
        ...

    async def page(
        self,
        before: int | None = None,
        limit: int = 50,
        *,
        author: str | None = None,
        outcome: Outcome | None = None,
    ) -> tuple[RevisionHead, ...]:
        """At most ``limit`` (1 to 500) revisions, newest first, of those whose number is below ``before``.

        Args:
            before: a number; ``None`` begins with the newest.
            limit: how many at most.
            author: only this one's.
            outcome: only those of which this became.
        """
        ...

    async def mark(self, number: int, outcome: Outcome, groups: Mapping[str, Any] | None = None) -> bool:
        """Write down what became of a revision; ``False`` when there is none of that number.

        A revision that was refused stays refused.

        Args:
            number: of the revision.
            outcome: over all groups.
            groups: JSON by group; ``None`` leaves what is there.
        """
        ...

    async def prune(self, keep: int) -> int:
        """Delete all but the ``keep`` (at least 1) newest, and say how many these were."""
        ...

    def changes(self) -> AsyncIterator[int]:
        """The number of the newest revision: now, and whenever anybody has recorded or marked one.

        Nothing comes before the first revision. Only the newest number is kept for whoever is slow, and a number may
        come twice. What another replica on the same PostgreSQL did comes within a second. A lost database ends nothing:
        as soon as it is back, the newest number comes again.
        """
        ...

    async def seen(self, origin: str) -> str | None:
        """The digest of the text that a source had last; ``None`` for a source that never had any."""
        ...

    async def saw(self, origin: str, digest: str) -> None:
        """Remember the digest of the text that a source has now."""
        ...
