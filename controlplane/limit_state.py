"""What callers of limits have left in Redis, and full buckets for them. Every call has a deadline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from redis.exceptions import RedisError

from servicekit.buckets import script
from servicekit.buckets.bucket import MICROSECONDS
from servicekit.buckets.forms import form_of, seed_of
from servicekit.buckets.keys import bucket_key
from servicekit.buckets.resets import LOG_KEY, MOST_KEPT, RESET
from servicekit.buckets.takes import Take
from servicekit.buckets.top import MOST_KEPT as MOST_LISTED
from servicekit.buckets.top import WINDOW_SECONDS, Kind, caller_of, top_key
from servicekit.contracts import Limit

DEADLINE: Final = 2.0
"""Seconds for each call."""

_T = TypeVar("_T")


class LimitStateError(Exception):
    """Redis did not do what it was asked; the text says why in few words and holds no address."""


@dataclass(frozen=True, slots=True)
class Left:
    """What one caller has of one limit."""

    remaining: int
    """Requests that would pass now."""
    reset: float
    """Seconds until all of it is there again; where nothing is left, until a request would pass."""


@dataclass(frozen=True, slots=True)
class Busy:
    """One of those who asked most."""

    caller: tuple[str, ...]
    asked: int
    exceeded: int
    """How often of these it was refused."""


class LimitStates:
    """The buckets, through ``client``, a redis-py client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def left(self, limit: Limit, caller: Sequence[str]) -> Left:
        """What ``caller`` has now. Nothing is taken.

        Args:
            limit: with the amount that counts for the caller.
            caller: as the service counts it.

        Raises:
            LimitStateError: Redis is away.
        """
        asked = [[Take(bucket_key(seed_of(limit), *caller), form_of(limit), 0)]]
        reply = await _within_deadline(self._client.eval(script.TEXT, *script.pack(asked)))
        ((level,),) = script.unpack(asked, reply)
        return Left(level.remaining, level.reset_us / MICROSECONDS)

    async def reset(self, limit: Limit, caller: Sequence[str]) -> None:
        """Give ``caller`` a full bucket; within a second every service forgets what it remembers of the old one.

        Raises:
            LimitStateError: Redis is away.
        """
        key = bucket_key(seed_of(limit), *caller)
        await _within_deadline(self._client.eval(RESET, 2, key, LOG_KEY, MOST_KEPT))

    async def top(self, limit: str, *, by: Kind, most: int, now: float) -> list[Busy]:
        """Who asked most under ``limit``, or was refused most, in the window of ``now`` and the one before.

        Raises:
            LimitStateError: Redis is away.
        """
        window = int(now // WINDOW_SECONDS)
        asked: Counter[tuple[str, ...]] = Counter()
        exceeded: Counter[tuple[str, ...]] = Counter()
        counters: dict[Kind, Counter[tuple[str, ...]]] = {"asked": asked, "exceeded": exceeded}
        for kind, counter in counters.items():
            for one in (window - 1, window):
                read = self._client.zrevrange(top_key(kind, limit, one), 0, MOST_LISTED - 1, withscores=True)
                for member, number in await _within_deadline(read):
                    caller = caller_of(member)
                    if caller is not None:
                        counter[caller] += int(number)
        return [Busy(caller, asked[caller], exceeded[caller]) for caller, _ in counters[by].most_common(most)]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _within_deadline(call: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(DEADLINE):
            return await call
    except (RedisError, OSError) as error:
        raise LimitStateError(type(error).__name__) from error
