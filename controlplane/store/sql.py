"""Revisions in a database that speaks SQL. The primary key is the compare-and-swap: a parent has one child."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from controlplane.store.errors import ConflictError, as_store_error
from controlplane.store.revision import Outcome, Revision, RevisionHead
from controlplane.store.tables import revisions

_LARGEST_PAGE = 500
_HEAD = tuple(column for column in revisions.columns if column.name != "text")


class SqlRevisionStore:
    """A :class:`~controlplane.store.revision.RevisionStore` on SQLAlchemy.

    Args:
        engine: with its tables up to date; closed by :meth:`close`.
        deadline: seconds for each call.
    """

    def __init__(self, engine: AsyncEngine, *, deadline: float) -> None:
        self._engine = engine
        self._deadline = deadline

    async def record(
        self, text: bytes, *, origin: str, author: str, message: str, digest: str, parent: int | None = None
    ) -> Revision:
        """Add a revision after the newest, or give back the newest when it has this very text."""
        if digest != hashlib.sha256(text).hexdigest():
            raise ValueError("the digest is not the SHA-256 of the text")
        with as_store_error("the revision was not recorded"):
            async with asyncio.timeout(self._deadline):
                while True:
                    # Read and write are two transactions: SQLite can't make a reader a writer after another wrote.
                    newest = await self._one(_newest())
                    if newest is not None and newest.digest == digest:
                        return newest
                    number = newest.number if newest is not None else 0
                    if parent is not None and parent != number:
                        raise ConflictError(f"the newest revision is {number}, not {parent}")
                    revision = Revision(
                        number=number + 1,
                        created_at=datetime.now(UTC),
                        author=author,
                        origin=origin,
                        message=message,
                        digest=digest,
                        outcome=Outcome.PENDING,
                        text=text,
                    )
                    if await self._insert(revision):
                        return revision

    async def newest(self) -> Revision | None:
        """The newest revision."""
        with as_store_error("the newest revision cannot be read"):
            async with asyncio.timeout(self._deadline):
                return await self._one(_newest())

    async def get(self, number: int) -> Revision | None:
        """One revision."""
        with as_store_error(f"revision {number} cannot be read"):
            async with asyncio.timeout(self._deadline):
                return await self._one(select(revisions).where(revisions.c.number == number))

    async def page(self, before: int | None = None, limit: int = 50) -> tuple[RevisionHead, ...]:
        """Revisions, newest first."""
        if not 1 <= limit <= _LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {_LARGEST_PAGE} revisions")
        query = select(*_HEAD).order_by(revisions.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(revisions.c.number < before)
        async with self._transaction("the revisions cannot be read") as connection:
            return tuple(RevisionHead(**_columns(row)) for row in await connection.execute(query))

    async def mark(self, number: int, outcome: Outcome) -> bool:
        """Write down what became of a revision."""
        change = update(revisions).where(revisions.c.number == number).values(outcome=outcome.value)
        async with self._transaction(f"the outcome of revision {number} was not recorded") as connection:
            return (await connection.execute(change)).rowcount > 0

    async def prune(self, keep: int) -> int:
        """Delete all but the newest ``keep``."""
        if keep < 1:
            raise ValueError("the newest revision is always kept")
        newest = select(func.max(revisions.c.number)).scalar_subquery()
        removal = delete(revisions).where(revisions.c.number <= newest - keep)
        async with self._transaction("old revisions were not deleted") as connection:
            return (await connection.execute(removal)).rowcount

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def _one(self, query: Select[Any]) -> Revision | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Revision(**_columns(row))

    async def _insert(self, revision: Revision) -> bool:
        """Whether the number was still free."""
        values = {column.name: getattr(revision, column.name) for column in revisions.columns}
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(revisions).values(values | {"outcome": revision.outcome.value}))
        except IntegrityError:
            return False
        return True

    @asynccontextmanager
    async def _transaction(self, failed: str) -> AsyncIterator[AsyncConnection]:
        with as_store_error(failed):
            async with asyncio.timeout(self._deadline), self._engine.begin() as connection:
                yield connection


def _newest() -> Select[Any]:
    return select(revisions).order_by(revisions.c.number.desc()).limit(1)


def _columns(row: Row[Any]) -> dict[str, Any]:
    columns = dict(row._mapping)
    return columns | {"outcome": Outcome(columns["outcome"])}
