"""The port of the overrides: other amounts for single callers of single limits, made while the gateway runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOverride:
    """What one caller may do under one limit. Of one that was removed nothing is left but its id and its limit."""

    id: str
    """The same for the same limit and caller, now and later."""
    limit: str
    """The document's name of the limit."""
    caller: tuple[str, ...]
    """Who, a value for each thing that the limit tells callers apart by."""
    ruling: Literal["amount", "unlimited", "denied"]
    requests: int | None
    """With :attr:`ruling` ``amount``, as the next two; else ``None``."""
    period: float | None
    """Seconds."""
    burst: int | None
    note: str
    """Why, for people."""
    created_at: datetime
    changed_at: datetime | None
    expires_at: datetime | None
    """``None`` for never."""
    removed_at: datetime | None
    change: int
    """The number of the change that made it what it is; every change to any override has its own; they only grow."""


class NoSuchOverrideError(Exception):
    """There is no override of this id, or it was removed."""


class OverrideExistsError(Exception):
    """There is one for this limit and caller already."""


class OverrideChangedError(Exception):
    """Somebody else changed the override first."""


class LimitOverrideStore(Protocol):
    """Keeps overrides. Every method raises :class:`StoreError` when it can't."""

    async def create(self, override: LimitOverride) -> LimitOverride:
        """Keep a new override; its :attr:`~LimitOverride.change` is given here. It may take the place of one that was
        removed.

        Raises:
            OverrideExistsError: there is one of this id that was not removed.
        """
        ...

    async def find(self, override_id: str) -> LimitOverride | None:
        """An override, also one that is over; ``None`` when there is none of this id, or it was removed."""
        ...

    async def page(self, limit_name: str, after: str | None = None, limit: int = 50) -> tuple[LimitOverride, ...]:
        """At most ``limit`` (1 to 500) overrides of one limit, the last changed first, that come after the one of the
        id ``after``; none that were removed.
        """
        ...

    async def replace(self, override: LimitOverride) -> LimitOverride:
        """Put ``override`` in the place of the one of its id, which has to be as ``override.change`` says.

        Raises:
            NoSuchOverrideError: there is none, or it was removed.
            OverrideChangedError: it is not as it was.
        """
        ...

    async def remove(self, override_id: str, now: datetime) -> bool:
        """Let the limit itself count again for the caller, and forget who that was; ``False`` when there is none."""
        ...

    async def changed_since(self, change: int, limit: int) -> tuple[LimitOverride, ...]:
        """At most ``limit`` overrides as they are now, removed ones too, whose last change is after ``change``, in the
        order of changes.
        """
        ...

    def changes(self) -> AsyncIterator[int]:
        """The number of the last change: now, and again whenever there are others, in whichever replica."""
        ...
