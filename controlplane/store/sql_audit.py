"""The audit log in a database that speaks SQL. One writer at a time, of all replicas, links an entry to the last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.audit import GENESIS, AuditEntry, Verdict, entry_digest
from controlplane.store.sql import LARGEST_PAGE, Database, Turn
from controlplane.store.storable import storable, storable_json
from controlplane.store.tables import audit


class SqlAuditLog:
    """An :class:`~controlplane.store.audit.AuditLog` on SQLAlchemy."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self, *, actor: str, address: str, action: str, target: str, detail: Mapping[str, Any]
    ) -> AuditEntry:
        """Add an entry after the last."""
        said = json.loads(storable_json(detail))  # as it will be read: keys are strings, tuples are lists
        if not isinstance(said, dict):
            raise ValueError("the detail of an entry is a JSON object")  # noqa: TRY004 - one error for what is no JSON
        async with self._database.writing("the audit log was not written", Turn.AUDIT) as connection:
            return await append_entry(
                connection,
                at=datetime.now(UTC),
                actor=storable(actor),
                address=storable(address),
                action=storable(action),
                target=storable(target),
                detail=said,
            )

    async def page(self, before: int | None = None, limit: int = 50) -> tuple[AuditEntry, ...]:
        """Entries, newest first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} entries")
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        async with self._database.reading("the audit log cannot be read") as connection:
            return tuple(read_entry(row) for row in await connection.execute(query))

    async def verify(self) -> Verdict:
        """Compute the chain again, a page at a time."""
        chain = Chain()
        while True:
            page = await self._after(chain.count)
            for entry in page:
                if not chain.add(entry):
                    return Verdict(first_bad=chain.count + 1, count=chain.count, head=chain.head)
            if len(page) < LARGEST_PAGE:
                return Verdict(first_bad=None, count=chain.count, head=chain.head)

    async def _after(self, number: int) -> tuple[AuditEntry, ...]:
        query = select(audit).where(audit.c.number > number).order_by(audit.c.number).limit(LARGEST_PAGE)
        async with self._database.reading("the audit log cannot be read") as connection:
            return tuple(read_entry(row) for row in await connection.execute(query))


class Chain:
    """A chain that is computed again, entry by entry."""

    def __init__(self) -> None:
        self.count = 0
        self.head = GENESIS

    def add(self, entry: AuditEntry) -> bool:
        """Whether this is the next one, as it was written."""
        if entry.number != self.count + 1 or entry.previous != self.head:
            return False
        values = {field.name: getattr(entry, field.name) for field in fields(AuditEntry) if field.name != "digest"}
        if entry_digest(**values) != entry.digest:
            return False
        self.count, self.head = entry.number, entry.digest
        return True


async def append_entry(connection: AsyncConnection, **values: Any) -> AuditEntry:
    """Link an entry to the last one, in a transaction that has its turn."""
    query = select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
    last = (await connection.execute(query)).one_or_none()
    values["number"] = last.number + 1 if last is not None else 1
    values["previous"] = last.digest if last is not None else GENESIS
    values["digest"] = entry_digest(**values)
    await connection.execute(insert(audit).values(values))
    return AuditEntry(**values)


def read_entry(row: Row[Any]) -> AuditEntry:
    """From its columns."""
    return AuditEntry(**row._mapping)
