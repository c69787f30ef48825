"""From a URL to an open store: the engine, its deadlines, and the migrations."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from controlplane.store.changes import API_KEYS, LIMIT_OVERRIDES, REVISIONS, Changes
from controlplane.store.errors import StoreError, as_store_error
from controlplane.store.sql import Database
from controlplane.store.sql_api_keys import SqlApiKeyStore
from controlplane.store.sql_audit import SqlAuditLog
from controlplane.store.sql_limit_overrides import SqlLimitOverrideStore
from controlplane.store.sql_nodes import SqlNodeStore
from controlplane.store.sql_revisions import SqlRevisionStore
from controlplane.store.sql_tokens import SqlTokenStore
from controlplane.store.store import Store
from controlplane.store.transfer import SqlTransfer

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_DEADLINE = 10.0
_MIGRATION_DEADLINE = 60.0
"""Seconds; other replicas may be at it."""
_POSTGRESQL: Mapping[str, Any] = {
    "timeout": 5.0,
    "command_timeout": _DEADLINE,
    # A replica that stops amid a write loses its turn before those who wait for theirs give up.
    "server_settings": {"idle_in_transaction_session_timeout": "5s"},
}
_MIGRATION_LOCK = 0x6761_7465_7761_7931
"""Any number will do that no other program takes for its advisory locks."""


async def open_store(url: str) -> Store:
    """Connect, and bring the tables up to date; several replicas may do so at a time.

    Args:
        url: ``sqlite:////folder/history.db`` (made when it is not there, readable by this user only) or
            ``postgresql://user:password@host/database``.

    Raises:
        StoreError: the URL is none of these, or the database can't be used. The text holds no password.
    """
    parsed = _parse(url)
    with as_store_error("the revision store cannot be opened"):
        if parsed.database and _is_sqlite(parsed):
            await asyncio.to_thread(_prepare_file, Path(parsed.database))
        engine = _engine(parsed)
        try:
            async with asyncio.timeout(_MIGRATION_DEADLINE), engine.connect() as connection:
                await connection.run_sync(_migrate)
                await connection.commit()
        except BaseException:
            await engine.dispose()
            raise
    return _assemble(engine, None if _is_sqlite(parsed) else _listening_engine(parsed))


def _assemble(engine: AsyncEngine, listening: AsyncEngine | None) -> Store:
    database = Database(engine, deadline=_DEADLINE)
    changes = Changes(database, REVISIONS, listening=listening)
    key_changes = Changes(database, API_KEYS, listening=listening)
    override_changes = Changes(database, LIMIT_OVERRIDES, listening=listening)
    followers = (changes, key_changes, override_changes)

    async def dispose() -> None:
        for one in followers:
            await one.close()
        await database.close()

    return Store(
        revisions=SqlRevisionStore(database, changes),
        audit=SqlAuditLog(database),
        tokens=SqlTokenStore(database),
        api_keys=SqlApiKeyStore(database, key_changes),
        limit_overrides=SqlLimitOverrideStore(database, override_changes),
        nodes=SqlNodeStore(database),
        transfer=SqlTransfer(database, followers=followers),
        is_shared=listening is not None,
        dispose=dispose,
    )


def _prepare_file(path: Path) -> None:
    """Make the file, and have it written ahead (WAL), which it then stays.

    SQLite would make it readable by all, and documents hold hashes of API keys.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    for attempt in Retrying(
        # Of several that open a new file at once, SQLite lets all but one fail at this without waiting.
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(_DEADLINE),
        wait=wait_random(0.01, 0.05),
        reraise=True,
    ):
        with attempt, closing(sqlite3.connect(path, timeout=_DEADLINE)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("the revision store's URL cannot be read: write sqlite:////path or postgresql://…") from None
    driver = _DRIVERS.get(parsed.drivername.partition("+")[0])
    if driver is None:
        raise StoreError(f"the revision store cannot be {parsed.drivername!r}: it is sqlite or postgresql")
    if driver == _DRIVERS["sqlite"] and parsed.database in {None, "", ":memory:"}:
        raise StoreError("the revision store needs a file, as in sqlite:////var/lib/gateway/history.db")
    return parsed.set(drivername=driver)


def _is_sqlite(url: URL) -> bool:
    return url.drivername == _DRIVERS["sqlite"]


def _engine(url: URL) -> AsyncEngine:
    sqlite = _is_sqlite(url)
    engine = create_async_engine(
        url,
        connect_args={"timeout": _DEADLINE} if sqlite else _POSTGRESQL,
        hide_parameters=True,
        max_overflow=0,
        pool_pre_ping=not sqlite,
        pool_size=5,
        pool_timeout=_DEADLINE,
    )
    if sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _listening_engine(url: URL) -> AsyncEngine:
    """For connections that wait for notifications: each its own, so that they take none from the pool."""
    return create_async_engine(url, connect_args={"timeout": 5.0}, hide_parameters=True, poolclass=NullPool)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # With WAL, NORMAL may lose what was answered when the power goes.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    """Where Alembic finds the steps, and the database."""
    config = Config()
    # Alembic takes a percent sign for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
