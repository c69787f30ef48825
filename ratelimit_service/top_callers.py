"""Counts who asks most, in bounded memory, and adds it up in Redis where no request waits for it."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from servicekit.buckets.top import MOST_KEPT, WINDOW_SECONDS, Kind, member_of, top_key

PAUSE: Final = 1.0
"""Seconds between two reports."""
DEADLINE: Final = 0.5
"""Seconds for a step of one."""
MOST_COUNTED: Final = 10_000
"""Callers between two reports; of those who come when there are as many, nothing is counted."""
MOST_REPORTED: Final = 500
"""Callers in one report: those who asked most."""
LONGEST: Final = 1024
"""Bytes of a caller's name. Longer ones are not reported."""

_Who = tuple[str, tuple[str, ...]]
"""A limit and a caller, as it counts one."""


class TopCallers:
    """The counts since the last report."""

    def __init__(self, *, most: int = MOST_COUNTED) -> None:
        self._most = most
        self._counts: dict[_Who, list[int]] = {}

    def count(self, limit: str, caller: tuple[str, ...], exceeded: bool) -> None:
        """One request's descriptor was decided."""
        who = (limit, caller)
        found = self._counts.get(who)
        if found is None:
            if len(self._counts) >= self._most:
                return
            found = self._counts[who] = [0, 0]
        found[exceeded] += 1

    def take(self) -> Mapping[_Who, list[int]]:
        """For every caller, how many requests were allowed and refused; from now on it is counted anew."""
        counts, self._counts = self._counts, {}
        return counts


class TopReporter:
    """Adds ``callers`` up in the sets of ``client``, a redis-py client.

    Args:
        wall: seconds since the epoch.
    """

    def __init__(self, *, client: Any, callers: TopCallers, wall: Callable[[], float]) -> None:
        self._client = client
        self._callers = callers
        self._wall = wall

    async def run(self) -> None:
        """Report for ever. What can't be reported is let go."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.report()
            except (RedisError, OSError):  # counted and told where limits are decided
                continue

    async def report(self) -> None:
        """Report once."""
        counts = self._callers.take()
        if not counts:
            return
        window = int(self._wall() // WINDOW_SECONDS)
        pipeline = self._client.pipeline(transaction=False)
        touched = set()
        for (kind, limit, member), number in _added(counts).items():
            key = top_key(kind, limit, window)
            touched.add(key)
            pipeline.zincrby(key, number, member)
        for key in touched:
            pipeline.zremrangebyrank(key, 0, -1 - MOST_KEPT)
            pipeline.expire(key, 2 * WINDOW_SECONDS)
        async with asyncio.timeout(2 * DEADLINE):
            await pipeline.execute()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _added(counts: Mapping[_Who, list[int]]) -> Counter[tuple[Kind, str, bytes]]:
    """What is reported: how often who asked, and was refused."""
    added: Counter[tuple[Kind, str, bytes]] = Counter()
    for (limit, caller), (allowed, refused) in heapq.nlargest(
        MOST_REPORTED, counts.items(), key=lambda one: sum(one[1])
    ):
        member = member_of(caller)
        if not caller or len(member) > LONGEST:
            continue
        added["asked", limit, member] += allowed + refused
        if refused:
            added["exceeded", limit, member] += refused
    return added
