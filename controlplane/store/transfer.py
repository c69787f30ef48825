"""Everything out, a page at a time, so that neither memory nor a transaction grows with the store; and in again."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import IO, Any

from sqlalchemy import Column, Row, select

from controlplane.store.changes import Changes
from controlplane.store.errors import TransferError, as_store_error
from controlplane.store.importing import check_empty, import_rows
from controlplane.store.sql import Database
from controlplane.store.sql_api_keys import read_api_key
from controlplane.store.sql_audit import read_entry
from controlplane.store.sql_limit_overrides import read_override
from controlplane.store.sql_revisions import read_revision
from controlplane.store.sql_tokens import read_row
from controlplane.store.tables import api_keys, audit, limit_overrides, nodes, origins, revisions, tokens
from controlplane.store.transfer_check import KINDS, Check
from controlplane.store.transfer_lines import (
    LARGEST_LINE,
    EndLine,
    HeaderLine,
    Line,
    NodeLine,
    OriginLine,
    api_key_line,
    audit_line,
    override_line,
    revision_line,
    token_line,
    write_line,
)

_PAGE = 500
_PAGE_OF_TEXTS = 8
"""Revisions: each may have megabytes."""
_BATCH_BYTES = 1024 * 1024
"""Read in one go, in a thread."""


class SqlTransfer:
    """A :class:`~controlplane.store.store.Transfer` on SQLAlchemy.

    Args:
        database: where everything is.
        followers: hear of what was imported.
    """

    def __init__(self, database: Database, *, followers: Sequence[Changes]) -> None:
        self._database = database
        self._followers = followers

    async def export(self) -> AsyncIterator[str]:
        """Everything."""
        hashed, counts = hashlib.sha256(), Counter[str]()
        async for line in self._lines():
            counts[line.kind] += 1
            written = write_line(line)
            hashed.update(written.encode())
            yield written
        yield write_line(EndLine(counts={kind: counts[kind] for kind in KINDS}, digest=hashed.hexdigest()))

    async def import_lines(self, lines: AsyncIterable[bytes | str]) -> Mapping[str, int]:
        """Everything."""
        async with self._database.reading("nothing was imported") as connection:
            await check_empty(connection)
        with as_store_error("nothing was imported"), tempfile.TemporaryFile() as spool:
            check = Check()
            async for batch in _batches(lines):
                await asyncio.to_thread(_keep, spool, check, batch)
            counts = check.finish()
            await import_rows(self._database, spool, counts, self._followers)
        for changes in self._followers:
            changes.ring()
        return counts

    async def _lines(self) -> AsyncIterator[Line]:
        yield HeaderLine()
        async for row in self._rows(origins.c.origin):
            yield OriginLine(origin=row.origin, digest=row.digest)
        async for row in self._rows(tokens.c.number):
            yield token_line(read_row(row))
        async for row in self._rows(api_keys.c.number):
            yield api_key_line(read_api_key(row))
        async for row in self._rows(limit_overrides.c.id):
            yield override_line(read_override(row))
        async for row in self._rows(nodes.c.id):
            yield NodeLine(**row._mapping)
        # The newest first: when the oldest are pruned in the meantime, there is no gap.
        async for row in self._rows(revisions.c.number, newest_first=True, page=_PAGE_OF_TEXTS):
            yield revision_line(read_revision(row))
        async for row in self._rows(audit.c.number):
            yield audit_line(read_entry(row))

    async def _rows(
        self, key: Column[Any], *, newest_first: bool = False, page: int = _PAGE
    ) -> AsyncIterator[Row[Any]]:
        query = select(key.table).order_by(key.desc() if newest_first else key).limit(page)
        after = query
        while True:
            async with self._database.reading("the store cannot be exported") as connection:
                rows = (await connection.execute(after)).all()
            for row in rows:
                yield row
            if len(rows) < page:
                return
            last = rows[-1]._mapping[key]
            after = query.where(key < last if newest_first else key > last)


async def _batches(lines: AsyncIterable[bytes | str]) -> AsyncIterator[list[bytes]]:
    """Without their line feeds."""
    batch: list[bytes] = []
    size = 0
    async for line in lines:
        raw = (line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line).rstrip(b"\r\n")
        if len(raw) > LARGEST_LINE or b"\n" in raw:
            raise TransferError(f"a line of the import is none, or has more than {LARGEST_LINE} bytes")
        batch.append(raw)
        size += len(raw)
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _keep(spool: IO[bytes], check: Check, batch: list[bytes]) -> None:
    """Look at lines, and put them aside until it is known that they are whole."""
    for raw in batch:
        check.take(raw)
        spool.write(raw + b"\n")
