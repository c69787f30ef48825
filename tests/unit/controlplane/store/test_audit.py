"""What every audit log does, and what shows when somebody has been at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from controlplane.store import Store, open_store
from controlplane.store.audit import GENESIS, AuditEntry, AuditLog, entry_digest

pytestmark = pytest.mark.xdist_group("postgres")
FORGED = "SELECT number, at, 'eve', address, action, target, detail, previous, digest FROM audit"


@pytest.fixture
def log(everything: Store) -> AuditLog:
    """An empty log."""
    return everything.audit


async def append(log: AuditLog, target: str = "/routes/a", **detail: Any) -> AuditEntry:
    """One entry."""
    return await log.append(actor="ann", address="127.0.0.1:5", action="route.put", target=target, detail=detail)


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[AsyncConnection]:
    """The database, for somebody who has its password."""
    driver = url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(driver)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


async def tamper(url: str, statements: Sequence[str]) -> None:
    """Change the log behind its guards."""
    async with raw(url) as connection:
        if url.startswith("sqlite"):
            for name in ("audit_no_update", "audit_no_delete"):
                await connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            await connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER USER")
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def test_entries_are_linked(log: AuditLog) -> None:
    """The first begins the chain, each next one holds the digest of the one before, and the log is read back so."""
    first = await append(log, reason="ü \ud83d\ude00", parts=[1, 2.5, None])
    second = await append(log)
    assert (first.number, first.previous, second.number, second.previous) == (1, GENESIS, 2, first.digest)
    assert await log.page() == (second, first)
    verdict = await log.verify()
    assert (verdict.first_bad, verdict.count, verdict.head) == (None, 2, second.digest)


async def test_an_empty_log_is_whole(log: AuditLog) -> None:
    """Nothing there, nothing wrong."""
    verdict = await log.verify()
    assert (verdict.first_bad, verdict.count, verdict.head) == (None, 0, GENESIS)
    assert await log.page() == ()


async def test_pages_go_back_in_time(log: AuditLog) -> None:
    """Newest first, each page begins below the last number of the one before, and sizes are bounded."""
    for _ in range(5):
        await append(log)
    assert [entry.number for entry in await log.page(limit=2)] == [5, 4]
    assert [entry.number for entry in await log.page(before=2, limit=2)] == [1]
    for limit in (0, 501):
        with pytest.raises(ValueError, match="a page has"):
            await log.page(limit=limit)


async def test_characters_that_no_database_takes_are_replaced(log: AuditLog) -> None:
    """What an attacker puts into a path can't keep the entry about it out of the log."""
    made = await append(log, target="/a\0\ud800", key="\0\udfff")
    assert (made.target, made.detail) == ("/a\ufffd\ufffd", {"key": "\0\ufffd"})
    assert await log.page() == (made,)
    assert (await log.verify()).first_bad is None


async def test_a_detail_that_is_no_json_is_refused(log: AuditLog) -> None:
    """NaN, an object of Python's and an array are no JSON objects."""
    endless: list[Any] = []
    endless.append(endless)
    for wrong in (float("nan"), object(), endless):
        with pytest.raises(ValueError, match=r"JSON|Circular"):
            await append(log, wrong=wrong)
    assert await log.page() == ()


async def test_verifying_goes_on_over_many_pages(log: AuditLog) -> None:
    """More entries than are read at once."""
    await asyncio.gather(*(append(log, n=n) for n in range(520)))
    verdict = await log.verify()
    assert (verdict.first_bad, verdict.count) == (None, 520)


async def test_replicas_make_one_chain(url: str) -> None:
    """Four that append at once leave no gap and no fork, and everything that they were answered is there."""
    replicas = await asyncio.gather(*(open_store(url) for _ in range(4)))
    try:
        jobs = [append(replica.audit, n=n) for replica in replicas for n in range(10)]
        made = await asyncio.gather(*jobs)
        assert sorted(entry.number for entry in made) == list(range(1, 41))
        kept = await replicas[0].audit.page(limit=500)
        assert sorted(made, key=lambda entry: -entry.number) == list(kept)
        assert (await replicas[0].audit.verify()).first_bad is None
    finally:
        for replica in replicas:
            await replica.close()


@pytest.mark.parametrize(
    ("statements", "first_bad"),
    [
        (["UPDATE audit SET actor = 'eve' WHERE number = 3"], 3),
        (["UPDATE audit SET detail = '{\"n\":9}' WHERE number = 1"], 1),
        (["UPDATE audit SET previous = digest WHERE number = 2"], 2),
        (["DELETE FROM audit WHERE number = 4"], 4),
        (["DELETE FROM audit WHERE number <= 2"], 1),
        (
            [
                "UPDATE audit SET number = 99 WHERE number = 2",
                "UPDATE audit SET number = 2 WHERE number = 3",
                "UPDATE audit SET number = 3 WHERE number = 99",
            ],
            2,
        ),
        (["DELETE FROM audit WHERE number = 1", "UPDATE audit SET number = number - 1"], 1),
    ],
)
async def test_the_first_bad_entry_is_named(url: str, statements: list[str], first_bad: int) -> None:
    """Changed, missing, reordered, cut off at the front: whoever has the database can do it, but not unseen."""
    store = await open_store(url)
    try:
        for n in range(6):
            await append(store.audit, n=n)
        await tamper(url, statements)
        verdict = await store.audit.verify()
        assert (verdict.first_bad, verdict.count) == (first_bad, first_bad - 1)
    finally:
        await store.close()


async def test_an_entry_that_was_forged_whole_shows_in_the_next(url: str) -> None:
    """Whoever computes the digest of a changed entry again would have to do so for all that come after it."""
    store = await open_store(url)
    try:
        for n in range(3):
            await append(store.audit, n=n)
        entry = (await store.audit.page(before=3, limit=1))[0]
        values = {field.name: getattr(entry, field.name) for field in fields(entry)} | {"actor": "eve"}
        forged = entry_digest(**{name: value for name, value in values.items() if name != "digest"})
        await tamper(url, [f"UPDATE audit SET actor = 'eve', digest = '{forged}' WHERE number = 2"])
        verdict = await store.audit.verify()
        assert (verdict.first_bad, verdict.head) == (3, forged)
    finally:
        await store.close()


async def test_an_end_that_was_cut_off_shows_in_the_head(url: str) -> None:
    """The chain alone is whole then; the head that somebody noted elsewhere is not there any more."""
    store = await open_store(url)
    try:
        for n in range(3):
            await append(store.audit, n=n)
        noted = await store.audit.verify()
        await tamper(url, ["DELETE FROM audit WHERE number = 3"])
        verdict = await store.audit.verify()
        assert verdict.first_bad is None
        assert (verdict.count, verdict.head) != (noted.count, noted.head)
    finally:
        await store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'eve'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 1",
        "TRUNCATE audit",
        f"INSERT OR REPLACE INTO audit {FORGED}",
        f"INSERT INTO audit {FORGED} WHERE true ON CONFLICT (number) DO UPDATE SET actor = excluded.actor",
    ],
)
async def test_the_database_itself_refuses_to_change_an_entry(url: str, statement: str) -> None:
    """A mistake in a program, or of somebody at the database's prompt, changes nothing."""
    store = await open_store(url)
    try:
        made = await append(store.audit)
        with pytest.raises(DBAPIError):
            async with raw(url) as connection:
                await connection.exec_driver_sql(statement)
        assert await store.audit.page() == (made,)
    finally:
        await store.close()
