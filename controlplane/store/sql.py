"""Transactions on SQLite and PostgreSQL alike: a deadline for each, and one writer at a time where order matters."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from controlplane.store.errors import as_store_error

LARGEST_PAGE = 500


class Turn(IntEnum):
    """What writers wait for each other about. The values are PostgreSQL's advisory locks."""

    REVISIONS = 0x6761_7465_7761_7932
    AUDIT = 0x6761_7465_7761_7933
    TOKENS = 0x6761_7465_7761_7934
    NODES = 0x6761_7465_7761_7935
    API_KEYS = 0x6761_7465_7761_7936
    LIMIT_OVERRIDES = 0x6761_7465_7761_7937


class Database:
    """An engine with its tables up to date.

    Args:
        engine: closed by :meth:`close`.
        deadline: seconds for each transaction, waiting for one's turn included.
    """

    def __init__(self, engine: AsyncEngine, *, deadline: float) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._deadline = deadline
        # So that those who wait for their turn in one process hold one connection and not all of them.
        self._turns: defaultdict[Turn, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def reading(self, failed: str) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads; ``failed`` begins the text of the :class:`StoreError` that may come."""
        with as_store_error(failed):
            async with asyncio.timeout(self._deadline), self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, failed: str, *turns: Turn, deadline: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes, with nobody else at the same ``turns`` in any replica.

        Args:
            failed: begins the text of the :class:`StoreError` that may come.
            turns: taken in order; whoever takes several does so in the order of :class:`Turn`.
            deadline: seconds, in place of the usual.
        """
        with as_store_error(failed):
            async with asyncio.timeout(deadline or self._deadline), self._own_turn(turns), self.engine.begin() as begun:
                if self.is_sqlite:
                    # At once: SQLite can't make a reader a writer after somebody else has written.
                    await begun.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    for turn in turns:
                        await begun.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": turn.value})
                yield begun

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _own_turn(self, turns: tuple[Turn, ...]) -> AsyncIterator[None]:
        taken: list[asyncio.Lock] = []
        try:
            for turn in (Turn.REVISIONS,) if self.is_sqlite else turns:
                await self._turns[turn].acquire()
                taken.append(self._turns[turn])
            yield
        finally:
            for lock in taken:
                lock.release()
