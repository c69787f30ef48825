"""Many workers, one bucket: the sum is the limit's, to the token."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from ratelimit_service.redis_store import RedisStore
from servicekit.buckets.bucket import shape
from servicekit.buckets.takes import Take
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import running_store

RATE, BURST, SECONDS = 500, 1000, 2.0
"""The burst is two seconds' worth: no pause of a busy machine fills a bucket, so no token is lost."""
OF = shape(requests=RATE, period_us=1_000_000, burst=BURST)
HOT = [b"hot-%d" % number for number in range(3)]


def server_seconds(valkey: Valkey) -> float:
    """The clock that the buckets go by."""
    seconds, microseconds = valkey.command("TIME")
    return int(seconds) + int(microseconds) / 1_000_000


async def hammer(store: RedisStore, allowed: Counter[bytes], stop: asyncio.Event) -> None:
    """Ask for every hot key in turn until told to stop."""
    while not stop.is_set():
        for key in HOT:
            (level,) = await store.take([Take(key, OF, 1)])
            allowed[key] += level.fits


async def test_workers_together_get_what_the_limit_gives(valkey: Valkey) -> None:
    """Four stores with eight callers each on three keys: never more than burst + rate x time, nor a token less."""
    allowed: Counter[bytes] = Counter()
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(running_store(valkey.url)) for _ in range(4)]
        began = server_seconds(valkey)
        for key in HOT:
            allowed[key] += (await stores[0].take([Take(key, OF, 1)]))[0].fits
        all_flow = server_seconds(valkey)  # a bucket that nobody has asked for is full and takes no token in
        tasks = [asyncio.create_task(hammer(store, allowed, stop)) for store in stores for _ in range(8)]
        await asyncio.sleep(SECONDS)
        stop.set()
        await asyncio.gather(*tasks)
        asked_until = server_seconds(valkey)
        for key in HOT:
            while (await stores[0].take([Take(key, OF, 1)]))[0].fits:
                allowed[key] += 1
        ended = server_seconds(valkey)
    for key in HOT:
        least, most = BURST + RATE * (asked_until - all_flow), BURST + RATE * (ended - began)
        print(f"{key.decode()}: {allowed[key]} allowed, at most {most:.1f}")
        assert allowed[key] <= most
        assert allowed[key] > least - 1
