"""Tells when something in a table is another than before: here at once, on other replicas by NOTIFY.

A notification is only a bell: what is new is read from the table. Bells are lost with the connection that they would
come over, so the table is read again whenever that was lost, and every few seconds in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from controlplane.store.errors import StoreError, as_store_error
from controlplane.store.sql import Database
from controlplane.store.tables import api_keys, limit_overrides, revisions

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
"""Seconds between attempts at a database that is away."""
_CONNECT_DEADLINE = 5.0
_KEEPALIVE = 5.0
_KEEPALIVE_DEADLINE = 3.0
_POLL_SQLITE = 0.5
"""Seconds: other processes that share the file ring no bell."""
_POLL_POSTGRESQL = 3.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is followed."""

    name: str
    """For people."""
    channel: str
    """PostgreSQL's, for notifications."""
    newest: Select[Any]
    """Gives a row that is another whenever there is something new; its first column is the number that is told."""


_REVISION = (revisions.c.number, revisions.c.outcome, revisions.c.groups)
REVISIONS = Subject(
    "newest revision", "gateway_revisions", select(*_REVISION).order_by(revisions.c.number.desc()).limit(1)
)
"""The newest revision, and what became of it."""

API_KEYS = Subject(
    "last change of an API key", "gateway_api_keys", select(func.coalesce(func.max(api_keys.c.change), 0))
)

LIMIT_OVERRIDES = Subject(
    "last change of an override",
    "gateway_limit_overrides",
    select(func.coalesce(func.max(limit_overrides.c.change), 0)),
)


class Changes:
    """The number of what is newest, for everybody who follows it.

    Args:
        database: where it is.
        subject: what it is.
        listening: gives connections of their own to those who listen; ``None`` on SQLite.
    """

    def __init__(self, database: Database, subject: Subject, *, listening: AsyncEngine | None) -> None:
        self._database = database
        self._subject = subject
        self._listening = listening
        self._poll = _POLL_POSTGRESQL if listening is not None else _POLL_SQLITE
        self._bells: set[asyncio.Event] = set()
        self._listeners: set[asyncio.Task[None]] = set()

    def ring(self) -> None:
        """Something was written here."""
        for bell in self._bells:
            bell.set()

    async def follow(self) -> AsyncIterator[int]:
        """Its number: now, and again whenever there is another one or something else about it."""
        bell = asyncio.Event()
        self._bells.add(bell)
        listener = self._start_listener(bell)
        try:
            known: object = None
            while True:
                rung = bell.is_set()
                bell.clear()
                found = await self._look()
                if found is not None and (rung or found != known):
                    known = found
                    yield found[0]
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await bell.wait()
        finally:
            self._bells.discard(bell)
            await _end(listener)

    async def close(self) -> None:
        """End what listens for those who follow still, and will hear nothing any more."""
        await _end(self._listeners.copy())

    def _start_listener(self, bell: asyncio.Event) -> set[asyncio.Task[None]]:
        if self._listening is None:
            return set()
        listening = _listen(self._listening, self._subject.channel, bell.set)
        task = asyncio.create_task(listening, name=f"{self._subject.name} on other replicas")
        self._listeners.add(task)
        task.add_done_callback(self._listeners.discard)
        return {task}

    async def tell(self, connection: AsyncConnection) -> None:
        """Ring on other replicas, when the transaction is committed and not before."""
        if connection.dialect.name == "postgresql":
            await connection.execute(select(func.pg_notify(self._subject.channel, "")))

    async def _look(self) -> tuple[int, str] | None:
        """The number of the newest, and all that is told of it; waits until the database answers."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with self._database.reading(f"the {self._subject.name} cannot be read") as connection:
                    row = (await connection.execute(self._subject.newest)).one_or_none()
            except StoreError as error:
                if pause == _FIRST_PAUSE:
                    _log.warning(f"the {self._subject.name} is not known; asking until it is", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return None if row is None else (row[0], repr(row[1:]))


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _listen(engine: AsyncEngine, channel: str, ring: Callable[[], None]) -> None:
    """Ring for every notification, and whenever some may have been missed."""
    pause = _FIRST_PAUSE
    while True:
        try:
            with as_store_error("notifications cannot be had"):
                async with asyncio.timeout(_CONNECT_DEADLINE) as deadline, engine.connect() as connection:
                    driver: Any = (await connection.get_raw_connection()).driver_connection
                    await driver.add_listener(channel, lambda *_notification: ring())
                    deadline.reschedule(None)
                    pause = _FIRST_PAUSE
                    ring()
                    await _until_lost(driver)
        except StoreError as error:
            if pause == _FIRST_PAUSE:
                _log.warning("no notifications of other replicas; looking every few seconds", reason=str(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _until_lost(driver: Any) -> None:
    """Ask now and then, because a connection whose other end vanished is never heard of again."""
    lost = asyncio.Event()
    driver.add_termination_listener(lambda _connection: lost.set())
    while not lost.is_set() and not driver.is_closed():
        try:
            async with asyncio.timeout(_KEEPALIVE):
                await lost.wait()
        except TimeoutError:
            await driver.execute("SELECT 1", timeout=_KEEPALIVE_DEADLINE)
