"""What callers have left in a real Valkey, and full buckets for them: services forget what they remember of the old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controlplane.limit_state import LimitStateError, LimitStates
from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.matching import Descriptor
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.reset_feed import ResetFeed
from ratelimit_service.waiting_room import WaitingRoom
from servicekit.buckets.resets import LOG_KEY, MOST_KEPT
from servicekit.contracts import Limit
from servicekit.redis_client import redis_client
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import policy_of, running_store

BUCKET = Limit(name="bucket", by="user", requests=3, period_seconds=36_000, burst=3)
WINDOW = Limit(name="window", by="user", algorithm="fixed_window", requests=3, period_seconds=864_000, burst=3)
SLIDING = Limit(name="sliding", by="user", algorithm="sliding_window", requests=3, period_seconds=864_000, burst=3)
ALICE = ("platform:alice",)


@pytest.fixture
async def states(valkey: Valkey) -> AsyncIterator[LimitStates]:
    """As the control plane has them."""
    made = LimitStates(redis_client(SecretStr(valkey.url), deadline=2))
    yield made
    await made.aclose()


class Service:
    """A limiter and its feed, without its sockets."""

    def __init__(self, store: RedisStore, valkey: Valkey) -> None:
        from prometheus_client import CollectorRegistry

        self.refused = OverLimitCache()
        self.local = LocalStore(clock_us=lambda: time.monotonic_ns() // 1000)
        self.heard: list[Sequence[bytes]] = []
        self.told = asyncio.Event()
        self.feed = ResetFeed(client=redis_client(SecretStr(valkey.url), deadline=2), forget=self._forget)
        self.limiter = Limiter(
            policy=policy_of(BUCKET, WINDOW, SLIDING),
            overrides=OverrideBook(wall=time.time, changed=lambda: None),
            store=store,
            local=self.local,
            refused=self.refused,
            metrics=Metrics(CollectorRegistry()),
            clock=time.monotonic,
            room=WaitingRoom(told=lambda _: None),
        )

    def _forget(self, keys: Sequence[bytes]) -> None:
        self.heard.append(keys)
        self.told.set()
        if keys:
            self.refused.forget(keys, time.monotonic())
        else:
            self.refused.clear(time.monotonic())

    async def passed(self, limit: str, times: int, caller: str = ALICE[0]) -> int:
        """How many of so many requests pass."""
        asked = [Descriptor((("limit", limit), ("user", caller)), 1)]
        return sum([(await self.limiter.decide("gateway", asked)).allowed for _ in range(times)])


@pytest.fixture
async def services(valkey: Valkey) -> AsyncIterator[tuple[Service, Service]]:
    """Two that count in one Valkey."""
    async with running_store(valkey.url) as one, running_store(valkey.url) as other:
        made = Service(one, valkey), Service(other, valkey)
        yield made
        for service in made:
            await service.feed.aclose()


@pytest.mark.parametrize("limit", [BUCKET, WINDOW, SLIDING], ids=lambda limit: limit.name)
async def test_a_reset_holds_at_every_service(
    services: tuple[Service, Service], states: LimitStates, limit: Limit
) -> None:
    """What is left is told, nothing is taken by asking; after a reset each lets the caller in who was refused."""
    one, other = services
    assert (await states.left(limit, ALICE)).remaining == 3
    assert await one.passed(limit.name, 4) == 3
    assert await other.passed(limit.name, 1) == 0
    left = await states.left(limit, ALICE)
    assert left.remaining == 0
    assert left.reset > 0
    assert len(one.refused) == len(other.refused) == 1
    await states.reset(limit, ALICE)
    for service in services:
        await service.feed.catch_up()
    assert (await states.left(limit, ALICE)).remaining == 3
    assert [await one.passed(limit.name, 1), await other.passed(limit.name, 3)] == [1, 2]
    assert await one.passed(limit.name, 1, "platform:bob") == 1


async def test_the_feed_runs_by_itself(services: tuple[Service, Service], states: LimitStates) -> None:
    """Within a second, once and not again."""
    service = services[0]
    assert await service.passed("bucket", 4) == 3
    running = asyncio.create_task(service.feed.run())
    try:
        async with asyncio.timeout(10):
            await states.reset(BUCKET, ALICE)
            await service.told.wait()
        assert await service.passed("bucket", 1) == 1
    finally:
        running.cancel()
        await asyncio.wait({running})
    await service.feed.catch_up()
    assert len(service.heard) == 1


async def test_a_log_that_is_another_one(
    services: tuple[Service, Service], states: LimitStates, valkey: Valkey
) -> None:
    """After a flush, and when more were reset than it keeps: everything is forgotten, and it is followed again."""
    feed, heard = services[0].feed, services[0].heard
    await states.reset(BUCKET, ALICE)
    await feed.catch_up()
    valkey.command("FLUSHALL")
    await feed.catch_up()
    assert [len(keys) for keys in heard] == [1, 0]
    await states.reset(BUCKET, ALICE)
    await feed.catch_up()
    assert [len(keys) for keys in heard] == [1, 0, 1]
    await states.reset(BUCKET, ALICE)  # the same again: its number is another
    await feed.catch_up()
    await feed.catch_up()
    assert [len(keys) for keys in heard] == [1, 0, 1, 0, 1]


async def test_the_same_reset_after_a_flush(
    services: tuple[Service, Service], states: LimitStates, valkey: Valkey
) -> None:
    """Is another one, though the log looks as it did."""
    await states.reset(BUCKET, ALICE)
    await services[0].feed.catch_up()
    valkey.command("FLUSHALL")
    await states.reset(BUCKET, ALICE)
    await services[0].feed.catch_up()
    assert [len(keys) for keys in services[0].heard] == [1, 0]


async def test_the_log_is_bounded(states: LimitStates, valkey: Valkey) -> None:
    """However many are reset."""
    await asyncio.gather(*(states.reset(BUCKET, (f"u{n}",)) for n in range(3)))
    more: list[Any] = [word for n in range(MOST_KEPT) for word in (n, f"k{n}")]
    valkey.command("ZADD", LOG_KEY, *more)
    await states.reset(BUCKET, ALICE)
    assert valkey.command("ZCARD", LOG_KEY) == MOST_KEPT


async def test_without_redis_it_is_said(tmp_path: Path) -> None:
    """In time."""
    states = LimitStates(redis_client(SecretStr(f"unix://{tmp_path}/nobody"), deadline=2))
    with pytest.raises(LimitStateError):
        await states.left(BUCKET, ALICE)
    with pytest.raises(LimitStateError):
        await states.reset(BUCKET, ALICE)
    await states.aclose()
