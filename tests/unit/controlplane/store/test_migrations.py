"""A database that an older version made goes on, with all that is in it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from controlplane.store import Outcome, StoreError, open_store
from controlplane.store.database import alembic_config
from controlplane.store.tables import metadata, revisions

pytestmark = pytest.mark.xdist_group("postgres")
TEXTS = (b"routes: []", b"\x00\xff")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    """The bare database."""
    driver = url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(driver)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def make_first_version(connection: Connection) -> None:
    """As it was before there was an audit log, with two revisions."""
    command.upgrade(alembic_config(connection), "0001")
    for number, raw in enumerate(TEXTS, 1):
        values = {
            "number": number,
            "created_at": text("CURRENT_TIMESTAMP"),
            "author": "ann",
            "origin": "file",
            "message": "",
            "digest": hashlib.sha256(raw).hexdigest(),
            "outcome": "applied",
            "text": raw,
        }
        connection.execute(insert(revisions).values(values))


async def test_a_first_version_with_data_is_brought_up_to_date(url: str) -> None:
    """Its revisions stay, have no outcomes by group, and everything new works beside them."""
    async with connected(url) as connection:
        await connection.run_sync(make_first_version)
    store = await open_store(url)
    try:
        found = [await store.revisions.get(number) for number in (1, 2)]
        assert [one.text for one in found if one is not None] == list(TEXTS)
        assert [one.groups for one in found if one is not None] == [{}, {}]
        assert await store.revisions.mark(2, Outcome.REFUSED, {"edge": {"outcome": "refused"}})
        await store.audit.append(actor="", address="", action="", target="", detail={})
        assert (await store.audit.verify()).count == 1
    finally:
        await store.close()


async def test_the_tables_are_those_of_the_migrations(url: str) -> None:
    """What the code believes of the tables is what the steps have made."""
    await (await open_store(url)).close()
    async with connected(url) as connection:
        found = await connection.run_sync(differences)
    assert found == []


def differences(connection: Connection) -> list[object]:
    """Tables and columns that are there on one side only; names are enough."""
    context = MigrationContext.configure(connection, opts={"compare_type": False})
    return [one for one in compare_metadata(context, metadata) if "index" not in str(one[0])]


async def test_a_newer_database_is_refused(url: str) -> None:
    """An older program does not guess what a newer one has made of the tables."""
    await (await open_store(url)).close()
    async with connected(url) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        await open_store(url)
