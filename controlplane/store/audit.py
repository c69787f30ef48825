"""The port of the audit log: entries in a chain of hashes, so that what was changed or taken out shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from controlplane.store.storable import storable_json

IMPORT_ACTION = "import"
"""The action of an entry about an attempt to import: a log that has only these counts as empty."""
GENESIS = "0" * 64
"""What stands in the first entry for the digest of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what, from where."""

    number: int
    """1 for the first; each is one more than the one before it."""
    at: datetime
    """In UTC, by the clock of the replica that wrote it. Only :attr:`number` says what came first."""
    actor: str
    address: str
    """Where the actor came from."""
    action: str
    target: str
    """What it was done to."""
    detail: Mapping[str, Any]
    """Whatever else there is to say, as JSON. Never a secret."""
    previous: str
    """The digest of the entry before; :data:`GENESIS` in the first."""
    digest: str
    """:func:`entry_digest` of all the other fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came out when the chain was computed again."""

    first_bad: int | None
    """The number of the first entry that was changed, or before which one is missing; ``None`` when all are good."""
    count: int
    """Entries that are good, counted from the first."""
    head: str
    """The digest of the last good entry, :data:`GENESIS` without any.

    A chain can't show that its end was cut off: who notes ``count`` and ``head`` elsewhere, can.
    """


class AuditLog(Protocol):
    """Keeps entries for good, from several replicas. Every method raises :class:`StoreError` when it can't."""

    async def append(
        self, *, actor: str, address: str, action: str, target: str, detail: Mapping[str, Any]
    ) -> AuditEntry:
        """Add an entry after the last. What was given back is on the disk.

        Raises:
            ValueError: ``detail`` is no JSON object.
        """
        ...

    async def page(self, before: int | None = None, limit: int = 50) -> tuple[AuditEntry, ...]:
        """At most ``limit`` (1 to 500) entries, newest first, of those whose number is below ``before``."""
        ...

    async def verify(self) -> Verdict:
        """Compute the chain again, from the first entry to the last, a page at a time."""
        ...


def entry_digest(
    *,
    number: int,
    at: datetime,
    actor: str,
    address: str,
    action: str,
    target: str,
    detail: Mapping[str, Any],
    previous: str,
) -> str:
    """SHA-256 over the fields as canonical JSON: sorted keys, no spaces, ASCII, the time in UTC with microseconds."""
    fields = {
        "number": number,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": actor,
        "address": address,
        "action": action,
        "target": target,
        "detail": detail,
        "previous": previous,
    }
    return hashlib.sha256(storable_json(fields).encode("ascii")).hexdigest()
