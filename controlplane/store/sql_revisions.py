"""Revisions in a database that speaks SQL. The primary key is what two writers with the same parent collide on."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.changes import Changes
from controlplane.store.errors import ConflictError
from controlplane.store.revision import Outcome, Revision, RevisionHead
from controlplane.store.sql import LARGEST_PAGE, Database, Turn
from controlplane.store.sql_upsert import upsert
from controlplane.store.storable import storable
from controlplane.store.tables import origins, revisions

_HEAD = tuple(column for column in revisions.columns if column.name != "text")


class SqlRevisionStore:
    """A :class:`~controlplane.store.revision.RevisionStore` on SQLAlchemy."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def record(
        self, text: bytes, *, origin: str, author: str, message: str, digest: str, parent: int | None = None
    ) -> Revision:
        """Add a revision after the newest, or give back the newest when it has this very text."""
        if digest != hashlib.sha256(text).hexdigest():
            raise ValueError("the digest is not the SHA-256 of the text")
        async with self._database.writing("the revision was not recorded", Turn.REVISIONS) as connection:
            newest = await _one(connection, _newest())
            if newest is not None and newest.digest == digest:
                return newest
            number = newest.number if newest is not None else 0
            if parent is not None and parent != number:
                raise ConflictError(f"the newest revision is {number}, not {parent}")
            revision = Revision(
                number=number + 1,
                created_at=datetime.now(UTC),
                author=storable(author),
                origin=storable(origin),
                message=storable(message),
                digest=digest,
                outcome=Outcome.PENDING,
                text=text,
            )
            await connection.execute(insert(revisions).values(revision_row(revision)))
            await self._changes.tell(connection)
        self._changes.ring()
        return revision

    async def newest(self) -> Revision | None:
        """The newest revision."""
        async with self._database.reading("the newest revision cannot be read") as connection:
            return await _one(connection, _newest())

    async def get(self, number: int) -> Revision | None:
        """One revision."""
        async with self._database.reading(f"revision {number} cannot be read") as connection:
            return await _one(connection, select(revisions).where(revisions.c.number == number))

    async def page(
        self,
        before: int | None = None,
        limit: int = 50,
        *,
        author: str | None = None,
        outcome: Outcome | None = None,
    ) -> tuple[RevisionHead, ...]:
        """Revisions, newest first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} revisions")
        query = select(*_HEAD).order_by(revisions.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(revisions.c.number < before)
        if author is not None:
            query = query.where(revisions.c.author == author)
        if outcome is not None:
            query = query.where(revisions.c.outcome == outcome.value)
        async with self._database.reading("the revisions cannot be read") as connection:
            return tuple(RevisionHead(**_columns(row)) for row in await connection.execute(query))

    async def mark(self, number: int, outcome: Outcome, groups: Mapping[str, Any] | None = None) -> bool:
        """Write down what became of a revision."""
        values: dict[str, Any] = {"outcome": outcome.value}
        if groups is not None:
            values["groups"] = dict(groups)
        change = update(revisions).where(revisions.c.number == number).values(values)
        if outcome is not Outcome.REFUSED:
            # Each replica speaks for its own nodes: what one's have refused, another's can't have accepted for all.
            change = change.where(revisions.c.outcome != Outcome.REFUSED.value)
        async with self._database.writing(f"the outcome of revision {number} was not recorded") as connection:
            changed = (await connection.execute(change)).rowcount > 0
            if not changed:
                there = select(revisions.c.number).where(revisions.c.number == number)
                return (await connection.execute(there)).first() is not None
            await self._changes.tell(connection)
        self._changes.ring()
        return True

    async def prune(self, keep: int) -> int:
        """Delete all but the newest ``keep``."""
        if keep < 1:
            raise ValueError("the newest revision is always kept")
        newest = select(func.max(revisions.c.number)).scalar_subquery()
        removal = delete(revisions).where(revisions.c.number <= newest - keep)
        async with self._database.writing("old revisions were not deleted") as connection:
            return (await connection.execute(removal)).rowcount

    def changes(self) -> AsyncIterator[int]:
        """The newest number, whenever there is something new about it."""
        return self._changes.follow()

    async def seen(self, origin: str) -> str | None:
        """The digest of the text that a source had last."""
        query = select(origins.c.digest).where(origins.c.origin == origin)
        async with self._database.reading("what a source had last cannot be read") as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def saw(self, origin: str, digest: str) -> None:
        """Remember the digest of the text that a source has now."""
        async with self._database.writing("what a source has was not recorded", Turn.REVISIONS) as connection:
            await connection.execute(upsert(connection, origins), [{"origin": origin, "digest": digest}])


def revision_row(revision: Revision) -> dict[str, Any]:
    """Its columns."""
    values = {column.name: getattr(revision, column.name) for column in revisions.columns}
    return values | {"outcome": revision.outcome.value, "groups": dict(revision.groups)}


async def _one(connection: AsyncConnection, query: Select[Any]) -> Revision | None:
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else read_revision(row)


def _newest() -> Select[Any]:
    return select(revisions).order_by(revisions.c.number.desc()).limit(1)


def read_revision(row: Row[Any]) -> Revision:
    """From its columns."""
    return Revision(**_columns(row))


def _columns(row: Row[Any]) -> dict[str, Any]:
    columns = dict(row._mapping)
    return columns | {"outcome": Outcome(columns["outcome"])}
