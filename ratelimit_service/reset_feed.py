"""Hears of buckets that were made full by hand, a few times a second: what is remembered of them is forgotten.

A small question that is asked again is right after a lost connection, a failover and a flush alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from servicekit.buckets.resets import LOG_KEY

PAUSE: Final = 0.25
"""Seconds between two questions."""
DEADLINE: Final = 0.5
"""Seconds for each."""

_log = structlog.get_logger(__name__)


class ResetFeed:
    """Reads from ``client``, a redis-py client.

    Args:
        forget: is told of keys of buckets that are full now; of none at all, that any may be.
    """

    def __init__(self, *, client: Any, forget: Callable[[Sequence[bytes]], None]) -> None:
        self._client = client
        self._forget = forget
        self._last: tuple[bytes, float] | None = None
        """The newest that was read."""

    async def run(self) -> None:
        """Ask for ever."""
        is_away = False
        while True:
            try:
                await self.catch_up()
            except (RedisError, OSError) as error:  # counted and told where limits are decided
                if not is_away:
                    _log.info("resets are not heard of until redis is back", error=type(error).__name__)
                is_away = True
            else:
                is_away = False
            await asyncio.sleep(PAUSE)

    async def catch_up(self) -> None:
        """Ask once."""
        async with asyncio.timeout(DEADLINE):
            since = "-inf" if self._last is None else f"{self._last[1]:.0f}"
            found = await self._client.zrangebyscore(LOG_KEY, since, "+inf", withscores=True)
        log = [(bytes(key), float(number)) for key, number in found]
        if self._last is not None and log[:1] != [self._last]:
            self._last = None  # with the next question it is read from its beginning
            self._forget(())
            return
        news = log if self._last is None else log[1:]
        if news:
            self._forget([key for key, _ in news])
            self._last = news[-1]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
