"""What every store promises, shown for the one in memory and the one in a real Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from ratelimit_service.local_store import LocalStore
from ratelimit_service.store import Store
from servicekit.buckets.bucket import shape
from servicekit.buckets.leases import Leases, lease_number
from servicekit.buckets.takes import Level, Take
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import running_store

HOUR = 3_600_000_000
SLOW = shape(requests=1, period_us=HOUR, burst=5)
QUICK = shape(requests=20, period_us=1_000_000, burst=1)


@pytest.fixture(params=["local", "redis"])
async def store(request: pytest.FixtureRequest, valkey: Valkey) -> AsyncIterator[Store]:
    """Each kind of store, empty."""
    if request.param == "local":
        yield LocalStore(clock_us=lambda: time.monotonic_ns() // 1000)
    else:
        async with running_store(valkey.url) as made:
            yield made


async def one(store: Store, key: bytes, hits: int = 1) -> Level:
    """What a request for one slow bucket is told."""
    (level,) = await store.take([Take(key, SLOW, hits)])
    return level


async def test_a_full_bucket_gives_its_burst_and_no_more(store: Store) -> None:
    """Five tokens, then none for an hour; the figures count down."""
    assert store.available
    levels = [await one(store, b"a") for _ in range(6)]
    assert [level.fits for level in levels] == [True] * 5 + [False]
    assert [level.remaining for level in levels] == [4, 3, 2, 1, 0, 0]
    assert all(0 <= HOUR * (n + 1) - level.reset_us < 30_000_000 for n, level in enumerate(levels[:5]))
    assert 0 <= HOUR - levels[5].reset_us < 30_000_000


async def test_tokens_come_back_evenly(store: Store) -> None:
    """After the wait that the refusal told of, one more fits."""
    assert (await store.take([Take(b"a", QUICK, 1)]))[0].fits
    refused = (await store.take([Take(b"a", QUICK, 1)]))[0]
    assert not refused.fits
    assert 0 < refused.reset_us <= 50_000
    await asyncio.sleep(refused.reset_us / 1_000_000)
    assert (await store.take([Take(b"a", QUICK, 1)]))[0].fits


async def test_a_refused_request_takes_nothing_from_its_other_buckets(store: Store) -> None:
    """All or nothing, whichever of the buckets refuses."""
    await one(store, b"empty", 5)
    for wishes in ((b"full", b"empty"), (b"empty", b"full")):
        levels = dict(zip(wishes, await store.take([Take(key, SLOW, 1) for key in wishes]), strict=True))
        assert levels[b"full"] == Level(True, 5, 0)
        assert not levels[b"empty"].fits
    assert (await one(store, b"full", 0)).remaining == 5


async def test_no_hits_only_look(store: Store) -> None:
    """A peek says whether one more would fit, and takes none."""
    assert await one(store, b"a", 0) == Level(True, 5, 0)
    await one(store, b"a", 4)
    assert (await one(store, b"a", 0)).remaining == 1
    await one(store, b"a", 1)
    peek = await one(store, b"a", 0)
    assert (peek.fits, peek.remaining) == (False, 0)
    assert peek.reset_us <= HOUR


async def test_several_hits_fit_together_or_not_at_all(store: Store) -> None:
    """Three of five fit, three more don't, two do."""
    assert [(await one(store, b"a", hits)).fits for hits in (3, 3, 2)] == [True, False, True]


async def test_more_than_the_burst_never_fits(store: Store) -> None:
    """Not even in a full bucket, however many; nothing is taken."""
    for hits in (6, 2**32, 2**63):
        level = await one(store, b"a", hits)
        assert (level.fits, level.remaining) == (False, 5)


async def test_buckets_are_apart(store: Store) -> None:
    """One caller's tokens are not another's."""
    await one(store, b"a", 5)
    assert (await one(store, b"b", 5)).fits


async def test_a_changed_limit_keeps_what_was_taken(store: Store) -> None:
    """Four of five taken: four of ten are taken after the change, and of three all."""
    await one(store, b"a", 4)
    wider = shape(requests=6, period_us=HOUR, burst=10)
    narrower = shape(requests=2, period_us=HOUR, burst=3)
    assert len({SLOW.unit, wider.unit, narrower.unit}) == 3
    assert (await store.take([Take(b"a", wider, 0)]))[0].remaining == 6
    assert (await store.take([Take(b"a", narrower, 0)]))[0].remaining == 0


async def test_requests_that_come_together_are_decided_one_by_one(store: Store) -> None:
    """Ten at once for a bucket of five, mixed with others: five fit, and every reply is its own request's."""
    hot = [store.take([Take(b"hot", SLOW, 1)]) for _ in range(10)]
    pairs = [store.take([Take(b"x%d" % n, SLOW, n + 1), Take(b"y%d" % n, SLOW, 5 - n)]) for n in range(5)]
    decided = await asyncio.gather(*hot, *pairs)
    assert sum(level.fits for (level,) in decided[:10]) == 5
    assert [[level.remaining for level in pair] for pair in decided[10:]] == [[4 - n, n] for n in range(5)]


async def test_many_buckets_in_one_request(store: Store) -> None:
    """As many as the service lets through."""
    takes = [Take(b"%d" % n, SLOW, n % 5 + 1) for n in range(64)]
    assert [level.remaining for level in await store.take(takes)] == [4 - n % 5 for n in range(64)]


async def test_a_charge_takes_what_there_is(store: Store) -> None:
    """Four of five, then more than is left, beside a request that is refused."""
    level = await one(store, b"a", -4)
    assert (level.fits, level.remaining) == (True, 1)
    await one(store, b"b", 5)
    charged, refused = await store.take([Take(b"a", SLOW, -7), Take(b"b", SLOW, 1)])
    assert (charged.fits, charged.remaining, refused.fits) == (True, 0, False)


async def test_leases_are_given_back(store: Store) -> None:
    """Two at a time; the one that ends makes room, also if its name was taken twice, and once only."""
    two = Leases(2, HOUR)

    async def lease(name: str, *, back: bool = False) -> tuple[bool, int]:
        number = lease_number(name)
        (level,) = await store.take([Take(b"a", two, -number if back else number)])
        return level.fits, level.remaining

    assert [await lease("x"), await lease("x"), await lease("y")] == [(True, 1), (True, 0), (False, 0)]
    assert await lease("y", back=True) == (True, 0), "it never held one"
    assert await lease("x", back=True) == (True, 1)
    assert await lease("y") == (True, 0)
    for name in "xy":
        await lease(name, back=True)
    assert await lease("x", back=True) == (True, 2)
