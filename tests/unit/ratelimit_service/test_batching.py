"""Waiting together: who goes with whom, until when, and how many."""

from __future__ import annotations

import asyncio
import time

import pytest

from ratelimit_service.batching import Batcher, Chunk
from ratelimit_service.store import StoreError
from servicekit.buckets.bucket import shape
from servicekit.buckets.takes import Level, Take

OF = shape(requests=1, period_us=1_000_000, burst=2)


def takes(count: int = 1) -> list[Take]:
    """A request for some buckets."""
    return [Take(b"%d" % number, OF, 1) for number in range(count)]


def answers(chunk: Chunk) -> list[list[Level]]:
    """A distinguishable answer for every request of a chunk."""
    return [[Level(True, number, 0)] for number, _ in enumerate(chunk.requests)]


async def test_what_arrives_in_one_turn_goes_together() -> None:
    """A worker that waits gets all of it in one chunk, and each request its own answer."""
    batcher = Batcher(deadline=1, max_takes=100)
    worker = asyncio.create_task(batcher.next())
    await asyncio.sleep(0)
    waiting = [batcher.put(takes()) for _ in range(5)]
    chunk = await worker
    assert len(chunk.requests) == 5
    chunk.resolve(answers(chunk))
    assert [answer[0].remaining for answer in await asyncio.gather(*waiting)] == [0, 1, 2, 3, 4]


async def test_a_chunk_that_was_handed_out_takes_no_more() -> None:
    """What comes later waits for the next one."""
    batcher = Batcher(deadline=1, max_takes=100)
    first = batcher.put(takes())
    chunk = await batcher.next()
    second = batcher.put(takes())
    chunk.resolve(answers(chunk))
    assert first.done()
    assert not second.done()
    (await batcher.next()).resolve([[]])


async def test_chunks_are_bounded_and_so_is_their_number() -> None:
    """Beyond that a request fails at once instead of waiting."""
    batcher = Batcher(deadline=1, max_takes=4, max_chunks=2)
    waiting = [batcher.put(takes(2)) for _ in range(4)]
    with pytest.raises(StoreError, match="overloaded"):
        batcher.put(takes(1))
    batcher.fail_all(StoreError("connection"))
    assert all(isinstance(error, StoreError) for error in await asyncio.gather(*waiting, return_exceptions=True))


async def test_nobody_waits_beyond_the_deadline() -> None:
    """Neither in a chunk that nobody took nor in one that somebody works on, who is told to stop."""
    batcher = Batcher(deadline=0.01, max_takes=1)
    began = time.monotonic()
    waiting = [batcher.put(takes()), batcher.put(takes())]
    chunk = await batcher.next()
    told: list[bool] = []
    chunk.on_expiry = lambda: told.append(True)
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in errors] == ["timeout", "timeout"]
    assert told == [True]
    assert time.monotonic() - began < 0.2


async def test_a_chunk_whose_deadline_passed_is_not_handed_out() -> None:
    """A worker gets the next one that somebody still waits for, and which has a deadline of its own."""
    batcher = Batcher(deadline=0.005, max_takes=100)
    for _ in range(2):
        with pytest.raises(StoreError, match="timeout"):
            await asyncio.wait_for(batcher.put(takes()), 1)
    late = batcher.put(takes())
    chunk = await batcher.next()
    assert not chunk.done
    chunk.resolve(answers(chunk))
    await late


async def test_an_answer_that_came_while_this_process_slept_still_counts() -> None:
    """After a stall of the event loop the deadline looks once more before it fails."""
    batcher = Batcher(deadline=0.005, max_takes=100)
    waiting = batcher.put(takes())
    chunk = await batcher.next()
    time.sleep(0.02)  # noqa: ASYNC251  # the stall itself
    await asyncio.sleep(0)  # the timer is due now
    await asyncio.sleep(0)
    chunk.resolve(answers(chunk))
    assert (await waiting)[0].fits


async def test_an_answer_that_comes_after_the_deadline_is_dropped() -> None:
    """Everybody has been told already."""
    batcher = Batcher(deadline=0.005, max_takes=100)
    waiting = batcher.put(takes())
    chunk = await batcher.next()
    late = answers(chunk)
    with pytest.raises(StoreError):
        await waiting
    chunk.resolve(late)
    assert chunk.done


async def test_a_caller_that_went_away_does_no_harm() -> None:
    """Its neighbours get their answers."""
    batcher = Batcher(deadline=1, max_takes=100)
    gone, here = batcher.put(takes()), batcher.put(takes())
    gone.cancel()
    chunk = await batcher.next()
    chunk.resolve(answers(chunk))
    assert (await here)[0].remaining == 1
