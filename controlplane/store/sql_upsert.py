"""``INSERT … ON CONFLICT (primary key) DO UPDATE``, which both databases know by different functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnCollection, ColumnElement, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def upsert(
    connection: AsyncConnection,
    table: Table,
    *,
    where: Callable[[ColumnCollection[str, Any]], ColumnElement[bool]] | None = None,
) -> Executable:
    """A statement that writes rows, to be given with it, over those with the same key.

    Args:
        connection: on which it will be executed.
        table: with a primary key.
        where: from the columns of the new row, whether it may replace the old; ``None`` for always.
    """
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in (column.name for column in table.columns) if name not in key}
    condition = where(statement.excluded) if where is not None else None
    result: Executable = statement.on_conflict_do_update(index_elements=key, set_=changes, where=condition)
    return result


def insert_missing(connection: AsyncConnection, table: Table) -> Executable:
    """A statement that writes rows, to be given with it, whose keys are not there yet, and leaves out the others."""
    result: Executable = _insert(connection, table).on_conflict_do_nothing()
    return result


def _insert(connection: AsyncConnection, table: Table) -> Any:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
