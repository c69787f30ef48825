"""Which tokens are revoked, as far as this process knows: a bounded list in memory. No I/O and no clock.

The list only learns. A revocation leaves it when it ends, or when the store says that somebody withdrew it; one that
the store merely has no longer (it was flushed, or a failover lost what was written last) stays in force here.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from servicekit.contracts.revocation import MOST_REVOCATIONS, Revocation, RevokedBy

CAPACITY: Final = 2 * MOST_REVOCATIONS
"""More than the store holds, for those that it has forgotten."""

_KINDS: Final[tuple[RevokedBy, ...]] = ("jti", "sub", "sid")
_Subject: TypeAlias = tuple[str, str, str]
"""Provider, claim and value."""


@dataclass(frozen=True, slots=True)
class Revocable:
    """What of an accepted token a revocation may name."""

    provider: str
    subjects: tuple[_Subject, ...]
    issued_at: float
    """``iat``; without one the token counts as older than every other."""
    unknown_passes: bool
    """Whether it is accepted while nothing is known of revocations."""


def revocable(provider: str, claims: Mapping[str, Any], *, unknown_passes: bool) -> Revocable:
    """What ``claims`` of a verified token say about it."""
    return Revocable(
        provider=provider,
        subjects=tuple(
            (provider, kind, value) for kind in _KINDS if isinstance(value := claims.get(kind), str) and value
        ),
        issued_at=claims.get("iat", -math.inf),
        unknown_passes=unknown_passes,
    )


class RevocationList:
    """The revocations that are known. Not for several threads. Times are seconds since the epoch.

    Where there are more than ``capacity``, those make room that end first.
    """

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: dict[str, Revocation] = {}
        self._by_subject: dict[_Subject, dict[str, Revocation]] = {}
        self._ends: list[tuple[float, str]] = []
        self.loaded = False
        """Whether the whole list was read once."""

    def __len__(self) -> int:
        return len(self._entries)

    def refuses(self, token: Revocable, now: float) -> bool:
        """Whether ``token`` is revoked at ``now``."""
        for subject in token.subjects:
            for entry in self._by_subject.get(subject, _NONE).values():
                before = entry.issued_before
                if now < entry.ends_at and (before is None or token.issued_at <= before):
                    return True
        return False

    def learn(self, entries: Iterable[Revocation], now: float) -> int:
        """Add these, take out those that are withdrawn or at their end; how many were pushed out for want of room."""
        for entry in entries:
            if entry.withdrawn_at is not None:
                self._forget(entry.id)
            elif entry.id not in self._entries and now < entry.ends_at:
                self._entries[entry.id] = entry
                self._by_subject.setdefault(_subject(entry), {})[entry.id] = entry
                heapq.heappush(self._ends, (entry.ends_at, entry.id))
        return self._shrink(now)

    def _shrink(self, now: float) -> int:
        pushed_out = 0
        while self._ends and (self._ends[0][0] <= now or len(self._entries) > self._capacity):
            end, gone = heapq.heappop(self._ends)
            pushed_out += gone in self._entries and end > now
            self._forget(gone)
        return pushed_out

    def _forget(self, entry_id: str) -> None:
        entry = self._entries.pop(entry_id, None)
        if entry is None:
            return
        subject = _subject(entry)
        same = self._by_subject[subject]
        del same[entry_id]
        if not same:
            del self._by_subject[subject]


def _subject(entry: Revocation) -> _Subject:
    return entry.provider, entry.kind, entry.value


_NONE: Final[dict[str, Revocation]] = {}
