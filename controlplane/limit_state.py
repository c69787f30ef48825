"""What callers of limits have left in Redis, and full buckets for them. Every call has a deadline."""

from __future__ import annotations

import asyncio
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

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _within_deadline(call: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(DEADLINE):
            return await call
    except (RedisError, OSError) as error:
        raise LimitStateError(type(error).__name__) from error
