"""Whoever follows the newest revision hears of it within a second, whichever replica wrote it and whatever broke."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from controlplane.store import Outcome, Store, open_store
from controlplane.store.changes import REVISIONS, Changes
from controlplane.store.sql_revisions import SqlRevisionStore
from tests.harness.postgres import Postgres, running_postgres

pytestmark = pytest.mark.xdist_group("postgres")
_texts = itertools.count(1)


class Heard:
    """The numbers that somebody was told, and when."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.at: float = 0
        self._news = asyncio.Event()

    async def follow(self, store: Store) -> None:
        """Listen for ever."""
        async for number in store.revisions.changes():
            self.numbers.append(number)
            self.at = asyncio.get_running_loop().time()
            self._news.set()

    async def until(self, reached: Callable[[list[int]], bool], *, seconds: float) -> None:
        """Wait until what was heard is enough."""
        async with asyncio.timeout(seconds):
            while not reached(self.numbers):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def following(store: Store) -> AsyncIterator[Heard]:
    """Somebody who listens."""
    heard = Heard()
    task = asyncio.create_task(heard.follow(store))
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait({task})


async def record(store: Store) -> int:
    """A new text."""
    raw = f"text {next(_texts)}".encode()
    digest = hashlib.sha256(raw).hexdigest()
    return (await store.revisions.record(raw, origin="", author="", message="", digest=digest)).number


async def seconds_until_heard(writer: Store, heard: Heard, *, within: float = 5.0) -> float:
    """How long after its record was answered a new number came."""
    number = await record(writer)
    written = asyncio.get_running_loop().time()
    await heard.until(lambda numbers: number in numbers, seconds=within)
    return max(0.0, heard.at - written)


async def test_the_newest_is_told_now_and_when_it_changes(everything: Store) -> None:
    """Nothing before the first; then each record and each mark of the newest, sooner than by looking now and then."""
    async with following(everything) as early:
        taken = [await seconds_until_heard(everything, early) for _ in range(4)]
        assert min(taken) < 0.3
        async with following(everything) as late:
            await late.until(lambda numbers: numbers == [4], seconds=5)
            count = len(late.numbers)
            await everything.revisions.mark(4, Outcome.APPLIED, {"edge": {"outcome": "applied", "refused": {}}})
            await late.until(lambda numbers: len(numbers) > count, seconds=5)
            assert set(late.numbers) == {4}
        assert early.numbers[0] == 1


async def test_the_slow_get_the_newest_only(everything: Store) -> None:
    """What came while nobody asked is one number; who stops asking without a word is no hindrance at the end."""
    await record(everything)
    changes = aiter(everything.revisions.changes())
    assert await anext(changes) == 1
    for _ in range(20):
        await record(everything)
    async with asyncio.timeout(5):
        assert await anext(changes) == 21


async def test_another_replica_hears_within_a_second(url: str) -> None:
    """Records and marks of one store reach who follows another one on its database; over SQLite's file a bit later."""
    one, two = await open_store(url), await open_store(url)
    try:
        async with following(two) as heard:
            await seconds_until_heard(one, heard)
            taken = [await seconds_until_heard(one, heard) for _ in range(5)]
            count = len(heard.numbers)
            await one.revisions.mark(heard.numbers[-1], Outcome.REFUSED)
            await heard.until(lambda numbers: len(numbers) > count, seconds=5)
        assert max(taken) < (1.0 if url.startswith("postgresql") else 3.0)
        print(f"heard after at most {max(taken) * 1000:.1f} ms")
    finally:
        await one.close()
        await two.close()


async def test_a_listener_whose_connection_was_ended_listens_again(postgres: Postgres) -> None:
    """Every backend that listens is terminated; what is recorded right then is heard within a second."""
    url = postgres.make_database("terminated")
    one, two = await open_store(url), await open_store(url)
    try:
        async with following(two) as heard:
            await seconds_until_heard(one, heard)
            taken = []
            for _ in range(3):
                assert postgres.terminate_listeners("terminated") >= 1
                taken.append(await seconds_until_heard(one, heard))
        # Whoever only looks every few seconds is that fast by accident, and not every time.
        assert sorted(taken)[1] < 1.0
        print(f"heard {[round(one * 1000) for one in taken]} ms after the listener's connection had ended")
    finally:
        await one.close()
        await two.close()


async def test_a_server_that_comes_back_is_heard_again() -> None:
    """PostgreSQL is killed and started: the newest number comes again by itself, and then the next one in time."""
    with running_postgres() as server:
        one, two = await open_store(server.url()), await open_store(server.url())
        try:
            async with following(two) as heard:
                await seconds_until_heard(one, heard)
                server.kill()
                count = len(heard.numbers)
                await asyncio.to_thread(server.start)
                await heard.until(lambda numbers: len(numbers) > count, seconds=10)
                assert heard.numbers[-1] == 1
                taken = await seconds_until_heard(one, heard)
                assert taken < 1.0
                print(f"heard after {taken * 1000:.1f} ms once the server was back")
        finally:
            await one.close()
            await two.close()


async def test_who_gets_no_notifications_looks(postgres: Postgres) -> None:
    """A listener that can't connect at all hears a little later."""
    url = postgres.make_database("deaf")
    one, two = await open_store(url), await open_store(url)
    nowhere = create_async_engine(postgres.url("missing").replace("postgresql:", "postgresql+asyncpg:"))
    try:
        assert isinstance(two.revisions, SqlRevisionStore)
        database = two.revisions._database
        deaf = replace(two, revisions=SqlRevisionStore(database, Changes(database, REVISIONS, listening=nowhere)))
        async with following(deaf) as heard:
            await seconds_until_heard(one, heard, within=5)
            await seconds_until_heard(one, heard, within=5)
    finally:
        await nowhere.dispose()
        await one.close()
        await two.close()
