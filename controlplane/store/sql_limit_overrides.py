"""Overrides in a database that speaks SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.changes import Changes
from controlplane.store.limit_overrides import (
    LimitOverride,
    NoSuchOverrideError,
    OverrideChangedError,
    OverrideExistsError,
)
from controlplane.store.sql import LARGEST_PAGE, Database, Turn
from controlplane.store.tables import limit_overrides

_ROWS = limit_overrides.c
_THERE = _ROWS.removed_at.is_(None)


class SqlLimitOverrideStore:
    """A :class:`~controlplane.store.limit_overrides.LimitOverrideStore` on SQLAlchemy.

    Args:
        database: where the overrides are.
        changes: rings when there are other ones.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def create(self, override: LimitOverride) -> LimitOverride:
        """Keep a new override."""
        one = _ROWS.id == override.id
        async with self._database.writing("the override was not made", Turn.LIMIT_OVERRIDES) as connection:
            if (await connection.execute(select(_ROWS.id).where(one, _THERE))).one_or_none() is not None:
                raise OverrideExistsError(override.id)
            made = replace(override, change=await _next_change(connection))
            await connection.execute(delete(limit_overrides).where(one))  # what is left of one that was removed
            await connection.execute(insert(limit_overrides).values(override_row(made)))
            await self._changes.tell(connection)
        self._changes.ring()
        return made

    async def find(self, override_id: str) -> LimitOverride | None:
        """One override."""
        query = select(limit_overrides).where(_ROWS.id == override_id, _THERE)
        async with self._database.reading("the override cannot be read") as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else read_override(row)

    async def page(self, limit_name: str, after: str | None = None, limit: int = 50) -> tuple[LimitOverride, ...]:
        """Overrides of one limit, the last changed first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} overrides")
        query = select(limit_overrides).where(_ROWS.limit == limit_name, _THERE)
        if after is not None:
            query = query.where(_ROWS.change < select(_ROWS.change).where(_ROWS.id == after).scalar_subquery())
        query = query.order_by(_ROWS.change.desc()).limit(limit)
        async with self._database.reading("the overrides cannot be read") as connection:
            return tuple(read_override(row) for row in await connection.execute(query))

    async def replace(self, override: LimitOverride) -> LimitOverride:
        """Another in the place of the one that is there."""
        one = _ROWS.id == override.id
        async with self._database.writing("the override was not changed", Turn.LIMIT_OVERRIDES) as connection:
            held = (await connection.execute(select(_ROWS.change).where(one, _THERE))).scalar_one_or_none()
            if held is None:
                raise NoSuchOverrideError(override.id)
            if held != override.change:
                raise OverrideChangedError(override.id)
            changed = replace(override, change=await _next_change(connection))
            await connection.execute(update(limit_overrides).where(one).values(override_row(changed)))
            await self._changes.tell(connection)
        self._changes.ring()
        return changed

    async def remove(self, override_id: str, now: datetime) -> bool:
        """Keep nothing of it but that it was there, for those who have to hear of it."""
        one = _ROWS.id == override_id
        async with self._database.writing("the override was not removed", Turn.LIMIT_OVERRIDES) as connection:
            values = {"caller": [], "note": "", "removed_at": now, "change": await _next_change(connection)}
            done = await connection.execute(update(limit_overrides).where(one, _THERE).values(values))
            await self._changes.tell(connection)
        self._changes.ring()
        return done.rowcount > 0

    async def changed_since(self, change: int, limit: int) -> tuple[LimitOverride, ...]:
        """Overrides in the order of their changes."""
        query = select(limit_overrides).where(_ROWS.change > change).order_by(_ROWS.change).limit(limit)
        async with self._database.reading("the overrides cannot be read") as connection:
            return tuple(read_override(row) for row in await connection.execute(query))

    async def changes(self) -> AsyncIterator[int]:
        """The number of the last change."""
        async for number in self._changes.follow():
            yield number


def override_row(override: LimitOverride) -> dict[str, Any]:
    """Its columns."""
    return {column.name: getattr(override, column.name) for column in _ROWS} | {"caller": list(override.caller)}


def read_override(row: Row[Any]) -> LimitOverride:
    """From its columns."""
    columns = {column.name: row._mapping[column] for column in _ROWS}
    return LimitOverride(**columns | {"caller": tuple(columns["caller"])})


async def _next_change(connection: AsyncConnection) -> int:
    """One writer at a time, so that no change comes to light after one with a greater number."""
    return int((await connection.execute(select(func.coalesce(func.max(_ROWS.change), 0)))).scalar_one()) + 1
