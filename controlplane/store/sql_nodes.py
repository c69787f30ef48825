"""The node book in a database that speaks SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnCollection, ColumnElement, delete, func, or_, select

from controlplane.store.nodes import NodeRecord
from controlplane.store.sql import Database, Turn
from controlplane.store.sql_upsert import upsert
from controlplane.store.storable import storable
from controlplane.store.tables import nodes

LARGEST_BOOK = 20_000
"""Nodes that are remembered."""
_BATCH = 500
"""Rows of one transaction, so that nobody waits long for a turn."""


class SqlNodeStore:
    """A :class:`~controlplane.store.nodes.NodeStore` on SQLAlchemy.

    Args:
        database: where it is.
        most: nodes that are remembered.
    """

    def __init__(self, database: Database, *, most: int = LARGEST_BOOK) -> None:
        self._database = database
        self._most = most

    async def save(self, records: Iterable[NodeRecord]) -> None:
        """Write what is new about these nodes."""
        newest = {storable(record.id): record for record in records}
        rows = [asdict(replace(record, id=name)) for name, record in sorted(newest.items())]
        for start in range(0, len(rows), _BATCH):
            async with self._database.writing("nodes were not recorded", Turn.NODES) as connection:
                batch = rows[start : start + _BATCH]
                await connection.execute(upsert(connection, nodes, where=_is_believed), batch)
                count = (await connection.execute(select(func.count()).select_from(nodes))).scalar_one()
                if count > self._most:
                    await connection.execute(_removal(count - self._most))

    async def load(self, limit: int = 1000) -> tuple[NodeRecord, ...]:
        """The connected, then the last seen."""
        if not 1 <= limit <= LARGEST_BOOK:
            raise ValueError(f"1 to {LARGEST_BOOK} nodes are read")
        order = (nodes.c.disconnected_at.is_not(None), nodes.c.last_seen.desc(), nodes.c.id)
        async with self._database.reading("the nodes cannot be read") as connection:
            rows = await connection.execute(select(nodes).order_by(*order).limit(limit))
            return tuple(NodeRecord(**row._mapping) for row in rows)

    async def forget(self, before: datetime) -> int:
        """Delete the nodes that were last seen before this."""
        async with self._database.writing("old nodes were not deleted", Turn.NODES) as connection:
            return (await connection.execute(delete(nodes).where(nodes.c.last_seen < before))).rowcount


def _is_believed(new: ColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Not when a replica says that a node is gone which is connected to another one by now."""
    return or_(
        new["disconnected_at"].is_(None), new["replica"] == nodes.c.replica, nodes.c.disconnected_at.is_not(None)
    )


def _removal(count: int) -> Any:
    """Of the longest gone first, and of the connected only when none is left that is gone."""
    order = (nodes.c.disconnected_at.is_(None), nodes.c.last_seen, nodes.c.id)
    return delete(nodes).where(nodes.c.id.in_(select(nodes.c.id).order_by(*order).limit(count)))
