"""Who waits for a token, and who goes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from ratelimit_service.waiting_room import Outcome, WaitingRoom

LINE = b"line"
SOON = 0.005
"""Seconds between two tries of a bucket that is empty."""
LONG = 30.0


class Bucket:
    """Tokens that the test puts in, one room before it, and who was served in which order."""

    def __init__(self, *, most: int = 100) -> None:
        self.tokens = 0
        self.served: list[str] = []
        self.outcomes: Counter[Outcome] = Counter()
        self.room = WaitingRoom(told=self._told, most=most)
        self.tries = 0

    def _told(self, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1

    def attempt(self, name: str) -> Callable[[], Awaitable[float | None]]:
        """A try of who is called so."""

        async def one() -> float | None:
            self.tries += 1
            await asyncio.sleep(0)
            if self.tokens == 0:
                return SOON
            self.tokens -= 1
            self.served.append(name)
            return None

        return one

    async def enter(
        self, name: str, priority: int = 5, *, max_wait: float = LONG, most: int = 100, pace: float = 0.0
    ) -> float | None:
        """Wait."""
        return await self.room.enter(
            LINE, self.attempt(name), priority=priority, max_wait=max_wait, most=most, pace=pace
        )

    async def queued(self, *names: tuple[str, int], most: int = 100) -> list[asyncio.Task[float | None]]:
        """Let these wait, one after the other."""
        tasks = []
        for name, priority in names:
            before = len(self.room)
            tasks.append(asyncio.create_task(self.enter(name, priority, most=most)))
            async with asyncio.timeout(10):
                while len(self.room) == before and not tasks[-1].done():  # noqa: ASYNC110  # it has no event to tell
                    await asyncio.sleep(0)
        return tasks


async def test_with_a_token_nobody_waits() -> None:
    """And nobody is told of."""
    bucket = Bucket()
    bucket.tokens = 1
    assert await bucket.enter("a") is None
    assert (bucket.tries, bucket.outcomes) == (1, Counter())


async def test_the_most_urgent_goes_first_and_among_them_the_first() -> None:
    """Whoever came when."""
    bucket = Bucket()
    tasks = await bucket.queued(("a5", 5), ("b1", 1), ("c9", 9), ("d5", 5), ("e9", 9))
    bucket.tokens = 5
    assert await asyncio.gather(*tasks) == [None] * 5
    assert bucket.served == ["c9", "e9", "a5", "d5", "b1"]
    assert bucket.outcomes == {"served": 5}
    assert len(bucket.room) == 0


async def test_nobody_overtakes_the_line() -> None:
    """A token comes while somebody waits: it is not for who comes now."""
    bucket = Bucket()
    (first,) = await bucket.queued(("first", 5))
    bucket.tokens = 1
    second = asyncio.create_task(bucket.enter("second"))
    assert await first is None
    bucket.tokens = 1
    assert await second is None
    assert bucket.served == ["first", "second"]


async def test_who_waits_too_long_is_told_when_to_come_again() -> None:
    """And the line goes on without it."""
    bucket = Bucket()
    left = await bucket.enter("a", max_wait=0.05)
    assert left is not None
    assert 0 < left <= 2 * SOON
    assert bucket.outcomes == {"expired": 1}
    bucket.tokens = 1
    assert await bucket.enter("b") is None


async def test_time_that_is_up_amid_a_try() -> None:
    """The try ends first: with a token it was served, else not, and the next one is."""
    bucket, tried, goes_on = Bucket(), asyncio.Event(), asyncio.Event()
    outcomes = iter([SOON, SOON, None])

    async def attempt() -> float | None:
        if bucket.tries:
            tried.set()
            await goes_on.wait()
        bucket.tries += 1
        return next(outcomes)

    async def enter() -> float | None:
        return await bucket.room.enter(LINE, attempt, priority=5, max_wait=20 * SOON, most=9, pace=0)

    for expected in ("expired", "served"):
        waits = asyncio.create_task(enter())
        await asyncio.wait_for(tried.wait(), 10)
        await asyncio.sleep(25 * SOON)  # its time is up, which nothing tells of
        assert not waits.done()
        goes_on.set()
        await asyncio.wait_for(waits, 10)
        assert bucket.outcomes[expected] == 1
        tried.clear()
        goes_on.clear()
        outcomes = iter([SOON, None])
        bucket.tries = 0


async def test_who_would_not_be_served_in_time_does_not_wait() -> None:
    """The first token comes too late; or there are others before, each of whom takes a second."""
    bucket = Bucket()
    left = await bucket.enter("early", max_wait=SOON / 2)
    assert left is not None
    assert left >= SOON
    tasks = await bucket.queued(("a", 5), ("b", 5))
    left = await bucket.enter("late", max_wait=1.5, pace=1.0)
    assert left is not None
    assert left >= 2
    bucket.tokens = 2
    await asyncio.gather(*tasks)
    assert bucket.served == ["a", "b"]


async def test_of_too_many_the_least_urgent_goes() -> None:
    """Of two as urgent the one that came last; who is no more urgent than any does not get in."""
    bucket = Bucket()
    a, b, c, d, e = await bucket.queued(("a", 5), ("b", 3), ("c", 3), ("d", 3), ("e", 9), most=3)
    assert [d.done(), d.result() is not None] == [True, True], "as urgent as the last, and later"
    assert await c is not None, "it made room for e"
    bucket.tokens = 3
    assert [await one for one in (a, b, e)] == [None] * 3
    assert bucket.served == ["e", "a", "b"]
    assert bucket.outcomes == {"shed": 2, "served": 3}


async def test_all_lines_together_are_bounded() -> None:
    """Somebody more urgent gets in only where it can take another's place."""
    bucket = Bucket(most=2)
    tasks = await bucket.queued(("a", 5), ("b", 5))
    assert await bucket.enter("c", 9) is not None
    bucket.tokens = 2
    assert await asyncio.gather(*tasks) == [None, None]


async def test_a_client_that_gives_up_leaves_nothing() -> None:
    """Its place is free, and the next one has its token."""
    bucket = Bucket()
    gone, stays = await bucket.queued(("gone", 9), ("stays", 1))
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert len(bucket.room) == 1
    bucket.tokens = 1
    assert await stays is None
    assert bucket.served == ["stays"]
    assert bucket.outcomes == {"gone": 1, "served": 1}


async def test_lines_are_apart_and_end() -> None:
    """Another bucket's line does not wait for this one; what is empty is forgotten."""
    bucket, other = Bucket(), Bucket()
    (waits,) = await bucket.queued(("a", 5))
    other.tokens = 1
    assert await bucket.room.enter(b"other", other.attempt("b"), priority=5, max_wait=1, most=9, pace=0) is None
    bucket.tokens = 1
    assert await waits is None
    before = bucket.tries
    bucket.tokens = 1
    assert await bucket.enter("c") is None
    assert bucket.tries == before + 1, "it tried at once"
