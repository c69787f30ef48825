"""Puts a whole, checked export into a store that nobody has used yet, in one transaction."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from sqlalchemy import Table, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.audit import IMPORT_ACTION, AuditEntry
from controlplane.store.changes import Changes
from controlplane.store.errors import TransferError
from controlplane.store.sql import Database, Turn
from controlplane.store.sql_audit import append_entry, read_entry
from controlplane.store.sql_upsert import insert_missing
from controlplane.store.tables import api_keys, audit, limit_overrides, nodes, origins, revisions, tokens
from controlplane.store.transfer_lines import EndLine, HeaderLine, read_line

_DEADLINE = 600.0
"""Seconds for the whole transaction."""
_BATCH_BYTES = 1024 * 1024
_MOST_ATTEMPTS = 1000
"""Audit entries about attempts to import, in a store that counts as empty."""
_TABLES: Mapping[str, Table] = {
    "origin": origins,
    "token": tokens,
    "api_key": api_keys,
    "limit_override": limit_overrides,
    "node": nodes,
    "revision": revisions,
    "audit": audit,
}
_KEPT = frozenset({"origin", "node"})
"""Where what this control plane has seen itself counts for more than what was imported."""


async def check_empty(connection: AsyncConnection) -> tuple[AuditEntry, ...]:
    """The attempts to import that are in the audit log.

    Raises:
        TransferError: something else is in the store.
    """
    for table in (tokens, api_keys, limit_overrides):
        if await _count(connection, table):
            raise TransferError("nothing was imported: the store is not empty")
    if await _count(connection, revisions) > 1:
        raise TransferError("nothing was imported: the store is not empty")
    if await _count(connection, audit) > _MOST_ATTEMPTS:
        raise TransferError("nothing was imported: the audit log is not empty")
    entries = tuple(read_entry(row) for row in await connection.execute(select(audit).order_by(audit.c.number)))
    if any(entry.action != IMPORT_ACTION for entry in entries):
        raise TransferError("nothing was imported: the audit log is not empty")
    return entries


async def import_rows(
    database: Database, spool: IO[bytes], counts: Mapping[str, int], followers: Iterable[Changes]
) -> None:
    """Read the lines of ``spool`` from its start, commit them all, and tell the ``followers`` of other replicas."""
    async with database.writing("nothing was imported", *Turn, deadline=_DEADLINE) as connection:
        attempts = await check_empty(connection)
        if attempts:
            await _take_out_attempts(connection)
        if counts["revision"]:
            await connection.execute(delete(revisions))
        await asyncio.to_thread(spool.seek, 0)
        while batch := await asyncio.to_thread(_read, spool):
            for kind, rows in batch.items():
                if kind in _KEPT:
                    await connection.execute(insert_missing(connection, _TABLES[kind]), rows)
                else:
                    await connection.execute(insert(_TABLES[kind]), rows)
        await _put_back(connection, attempts)
        for changes in followers:
            await changes.tell(connection)


def _read(spool: IO[bytes]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the next lines, by kind; none at the end."""
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for raw in spool.readlines(_BATCH_BYTES):
        line = read_line(raw.rstrip(b"\n"), 0)
        if not isinstance(line, HeaderLine | EndLine):
            rows[line.kind].append(line.row())
    return rows


async def _count(connection: AsyncConnection, table: Table) -> int:
    return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def _take_out_attempts(connection: AsyncConnection) -> None:
    """The one place where rows leave the audit log: they come back after the imported ones, so that nothing is lost.

    The guard comes back with the same transaction.
    """
    if connection.dialect.name == "sqlite":
        query = text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'audit_no_delete'")
        guard = (await connection.execute(query)).scalar_one()
        away, back = "DROP TRIGGER audit_no_delete", guard
    else:
        away, back = (f"ALTER TABLE audit {verb} TRIGGER audit_no_change" for verb in ("DISABLE", "ENABLE"))
    await connection.exec_driver_sql(away)
    await connection.execute(delete(audit))
    await connection.exec_driver_sql(back)


async def _put_back(connection: AsyncConnection, attempts: Sequence[AuditEntry]) -> None:
    for entry in attempts:
        await append_entry(
            connection,
            at=entry.at,
            actor=entry.actor,
            address=entry.address,
            action=entry.action,
            target=entry.target,
            detail=dict(entry.detail),
        )
