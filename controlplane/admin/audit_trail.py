"""What the audit log says of a write: first what is meant, then what came of it.

The intent is stored before anything is done. When it can't be, nothing is done (503). What was done is therefore always
in the log: at worst as an intent without a result, which says that the process ended, or lost its store, in between.
A result that can't be stored doesn't undo what is live; it is logged as an error. What is refused before it is begun
makes one entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from controlplane.admin.errors import ApiError
from controlplane.store import StoreError

_log = structlog.get_logger(__name__)

MOST_NAMED = 50
"""Things that one entry names; it says how many more there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Who does what, from where."""

    actor: str
    address: str
    action: str
    target: str


class Log(Protocol):
    """Where entries go."""

    async def append(self, *, actor: str, address: str, action: str, target: str, detail: Mapping[str, Any]) -> Any:
        """Store one entry, for good.

        Raises:
            StoreError: it can't be.
        """
        ...


@dataclass(slots=True)
class Entry:
    """One write on its way."""

    _trail: AuditTrail
    _deed: Deed
    _intended: int | None = None
    result: dict[str, Any] = field(default_factory=dict)
    """What came of it; added to until the end. Never a secret."""

    @property
    def begun(self) -> bool:
        """Whether the intent is in the log."""
        return self._intended is not None

    async def intend(self, **detail: Any) -> None:
        """Say what will be done now. Before this, nothing may be.

        Raises:
            ApiError: 503, the log can't take it.
        """
        self._intended = await self._trail.store(self._deed, {"phase": "intent", **detail})

    async def done(self, **detail: Any) -> None:
        """Say how it ended."""
        await self._trail.note(self._deed, {"phase": "result", "of": self._intended, **self.result, **detail})

    async def refused(self, error: ApiError) -> None:
        """Say why it was not done."""
        if self.begun:
            await self.done(outcome="failed", status=error.response.status_code, code=error.code)
        else:
            await self._trail.refused(self._deed, error)


class AuditTrail:
    """Writes to the audit log.

    Args:
        log: ``None`` where there is no store: then nothing can be changed.
    """

    def __init__(self, log: Log | None) -> None:
        self._log = log

    @asynccontextmanager
    async def write(self, deed: Deed) -> AsyncIterator[Entry]:
        """Around a write: what it raises is in the log as a refusal."""
        entry = Entry(self, deed)
        try:
            yield entry
        except ApiError as error:
            await entry.refused(error)
            raise
        except asyncio.CancelledError:
            raise
        except Exception:
            if entry.begun:
                await entry.done(outcome="error")
            raise
        if entry.begun:
            await entry.done(outcome="done")

    async def refused(self, deed: Deed, error: ApiError) -> None:
        """Note a write that was not allowed, or was not right."""
        await self.note(deed, {"phase": "refused", "status": error.response.status_code, "code": error.code})

    async def store(self, deed: Deed, detail: Mapping[str, Any]) -> int:
        """Store an entry and give its number.

        Raises:
            ApiError: 503, it can't be stored.
        """
        if self._log is None:
            raise ApiError(
                503, "no-store", "Nothing can be changed through the API without a store: set GATEWAY_STORE_URL."
            )
        try:
            entry = await self._log.append(
                actor=deed.actor, address=deed.address, action=deed.action, target=deed.target, detail=detail
            )
        except StoreError as error:
            raise ApiError(503, "audit-unavailable", "Nothing was changed: the audit log can't be written.") from error
        return int(entry.number)

    async def note(self, deed: Deed, detail: Mapping[str, Any]) -> None:
        """Store an entry of what can't be stopped or undone by its failing."""
        try:
            await self.store(deed, detail)
        except ApiError as error:
            _log.error(
                "not in the audit log", actor=deed.actor, action=deed.action, target=deed.target, reason=str(error)
            )


def named(names: list[str]) -> dict[str, Any]:
    """A list for an entry, cut to what one may name."""
    return {"names": names[:MOST_NAMED], "more": max(0, len(names) - MOST_NAMED)}
