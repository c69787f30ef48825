"""Forgets what is to be forgotten: asks Redis for new purges, a few times a second.

The cursor proves itself: it is the last purge that was read, and Redis has to name it again. Where it does not, as
when there were more than it remembers, everything is forgotten: a cache may always do that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from servicekit.contracts.base import ContractError
from servicekit.contracts.purge import PURGES_KEY, Purge

PAUSE: Final = 0.25
"""Seconds between two questions."""
DEADLINE: Final = 0.5
"""Seconds for each call."""

Entry = tuple[bytes, float]
Forget = Callable[[Purge | None], int]
"""Forgets what a purge means, or everything; says how many answers that were."""

_log = structlog.get_logger(__name__)


class PurgeFeed:
    """Reads through ``client``, a redis-py client. ``clock`` never goes back."""

    def __init__(self, *, client: Any, forget: Forget, clock: Callable[[], float]) -> None:
        self._client = client
        self._forget = forget
        self._clock = clock
        self._cursor: Entry | None = None
        """The last purge that was read; ``None`` when there was none."""
        self._knows = False
        """Whether the cursor says anything."""
        self._read_at: float | None = None
        self._away: bool | None = None

    @property
    def age(self) -> float:
        """Seconds since nothing was missing; infinite before the first answer."""
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self.catch_up()
            except (RedisError, OSError) as error:
                self._failed(error)
            else:
                self._succeeded()
            await asyncio.sleep(PAUSE)

    async def catch_up(self) -> None:
        """Ask once.

        Raises:
            RedisError: there was no answer.
            OSError: the same.
        """
        if not self._knows:
            await self._begin()
            return
        since = "-inf" if self._cursor is None else repr(self._cursor[1])
        found: list[Entry] = await self._client.zrangebyscore(PURGES_KEY, since, "+inf", withscores=True)
        if self._cursor is not None:
            if not found or found[0] != self._cursor:
                self._knows = False
                await self._begin()
                return
            found = found[1:]
        for text, _ in found:
            self._obey(text)
        if found:
            self._cursor = found[-1]

    async def _begin(self) -> None:
        """What is kept may be older than purges that were not read."""
        newest: list[Entry] = await self._client.zrevrange(PURGES_KEY, 0, 0, withscores=True)
        self._cursor = newest[0] if newest else None
        self._knows = True
        _log.info("everything kept is forgotten: what had to be was not known", answers=self._forget(None))

    def _obey(self, text: bytes) -> None:
        try:
            purge = Purge.decode(text)
        except ContractError as error:
            _log.error("a purge can't be read: everything kept is forgotten", reason=str(error))
            self._forget(None)
            return
        _log.info("purged", id=purge.id, answers=self._forget(purge))

    def _succeeded(self) -> None:
        self._read_at = self._clock()
        if self._away is not False:
            self._away = False
            _log.info("purges are heard of")

    def _failed(self, error: Exception) -> None:
        if self._away is not True:
            self._away = True
            _log.warning("purges are not heard of: what is kept stays until its end", error=type(error).__name__)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
