"""Everything out, and everything in again."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping

from controlplane.store.errors import StoreError
from controlplane.store.sql import Database


class SqlTransfer:
    """A :class:`~controlplane.store.store.Transfer` on SQLAlchemy."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def export(self) -> AsyncIterator[str]:
        """Everything."""
        raise StoreError("not yet")
        yield ""

    async def import_lines(self, lines: AsyncIterable[bytes | str]) -> Mapping[str, int]:
        """Everything."""
        raise StoreError("not yet")
