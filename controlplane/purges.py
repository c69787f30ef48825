"""Purges of kept answers, told to every cache by way of Redis. Every call has a deadline."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.exceptions import RedisError

from servicekit.contracts.purge import COUNTER_KEY, MOST_PURGES, PURGES_KEY, Purge
from servicekit.redis_client import CONNECTIONS

DEADLINE: Final = 2.0
"""Seconds for each call."""

_ADD: Final = """
redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[2]), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
"""


class PurgeStoreError(Exception):
    """Redis did not do what it was asked; the text says why in few words and holds no address."""


class PurgeStore:
    """The latest purges, through ``client``, a redis-py client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lines = asyncio.Semaphore(CONNECTIONS)

    async def add(self, purge: Purge) -> None:
        """Let every cache hear of it, within a second.

        Raises:
            PurgeStoreError: Redis is away.
        """
        try:
            async with asyncio.timeout(DEADLINE), self._lines:
                await self._client.eval(_ADD, 2, PURGES_KEY, COUNTER_KEY, purge.encode(), MOST_PURGES)
        except (RedisError, OSError) as error:
            raise PurgeStoreError(type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
