"""API keys in a database that speaks SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.api_keys import ApiKey, KeyChangedError, KeyFilter, NoSuchKeyError
from controlplane.store.changes import Changes
from controlplane.store.sql import LARGEST_PAGE, Database, Turn
from controlplane.store.tables import api_keys

_COLUMNS = tuple(column for column in api_keys.columns if column.name != "number")


class SqlApiKeyStore:
    """A :class:`~controlplane.store.api_keys.ApiKeyStore` on SQLAlchemy.

    Args:
        database: where the keys are.
        changes: rings when there are other ones.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def create(self, key: ApiKey) -> ApiKey:
        """Keep a new key."""
        async with self._database.writing("the key was not made", Turn.API_KEYS) as connection:
            made = replace(key, change=await _next_change(connection))
            await connection.execute(insert(api_keys).values(api_key_row(made)))
            await self._changes.tell(connection)
        self._changes.ring()
        return made

    async def find(self, key_id: str) -> ApiKey | None:
        """One key."""
        async with self._database.reading("the key cannot be read") as connection:
            row = (await connection.execute(select(*_COLUMNS).where(api_keys.c.id == key_id))).one_or_none()
        return None if row is None else read_api_key(row)

    async def page(self, wanted: KeyFilter, after: str | None = None, limit: int = 50) -> tuple[ApiKey, ...]:
        """Keys, newest first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} keys")
        number = api_keys.c.number
        query = select(*_COLUMNS).where(*_conditions(wanted)).order_by(number.desc()).limit(limit)
        if after is not None:
            query = query.where(number < select(number).where(api_keys.c.id == after).scalar_subquery())
        async with self._database.reading("the keys cannot be read") as connection:
            return tuple(read_api_key(row) for row in await connection.execute(query))

    async def replace(self, key: ApiKey) -> ApiKey:
        """Another in the place of the one that is there."""
        async with self._database.writing("the key was not changed", Turn.API_KEYS) as connection:
            held = (await connection.execute(select(*_COLUMNS).where(api_keys.c.id == key.id))).one_or_none()
            if held is None or held.revoked_at is not None:
                raise NoSuchKeyError(key.id)
            if held.change != key.change:
                raise KeyChangedError(key.id)
            changed = replace(key, change=await _next_change(connection))
            await connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(api_key_row(changed)))
            await self._changes.tell(connection)
        self._changes.ring()
        return changed

    async def revoke(self, key_id: str) -> bool:
        """Make it invalid for good."""
        one = api_keys.c.id == key_id
        async with self._database.writing("the key was not revoked", Turn.API_KEYS) as connection:
            values = {"revoked_at": datetime.now(UTC), "change": await _next_change(connection)}
            await connection.execute(update(api_keys).where(one, api_keys.c.revoked_at.is_(None)).values(values))
            is_there = (await connection.execute(select(api_keys.c.id).where(one))).one_or_none() is not None
            await self._changes.tell(connection)
        self._changes.ring()
        return is_there

    async def changed_since(self, change: int, limit: int) -> tuple[ApiKey, ...]:
        """Keys in the order of their changes."""
        query = select(*_COLUMNS).where(api_keys.c.change > change).order_by(api_keys.c.change).limit(limit)
        async with self._database.reading("the keys cannot be read") as connection:
            return tuple(read_api_key(row) for row in await connection.execute(query))

    async def changes(self) -> AsyncIterator[int]:
        """The number of the last change."""
        async for number in self._changes.follow():
            yield number


def api_key_row(key: ApiKey) -> dict[str, Any]:
    """Its columns."""
    values = {column.name: getattr(key, column.name) for column in _COLUMNS}
    return values | {"scopes": list(key.scopes), "metadata": dict(key.metadata)}


def read_api_key(row: Row[Any]) -> ApiKey:
    """From its columns."""
    columns = {column.name: row._mapping[column] for column in _COLUMNS}
    return ApiKey(**columns | {"scopes": tuple(columns["scopes"])})


async def _next_change(connection: AsyncConnection) -> int:
    """One writer at a time, so that no change comes to light after one with a greater number."""
    return int((await connection.execute(select(func.coalesce(func.max(api_keys.c.change), 0)))).scalar_one()) + 1


def _conditions(wanted: KeyFilter) -> list[ColumnElement[bool]]:
    found = []
    if wanted.provider is not None:
        found.append(api_keys.c.provider == wanted.provider)
    if wanted.owner is not None:
        found.append(api_keys.c.owner == wanted.owner)
    if wanted.is_revoked is not None:
        revoked = api_keys.c.revoked_at.is_not(None)
        found.append(revoked if wanted.is_revoked else ~revoked)
    return found
