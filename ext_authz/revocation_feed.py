"""Keeps the list of revocations as the store has it: asks for what has changed, a few times a second.

A small question that is asked again is right after a lost connection, a failover and a flush alike; what is published
while nobody listens is gone. The cursor proves itself: it is the last change that was read, and the store has to name
it again. Where it does not, the whole list is read anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from ext_authz.revocations import RevocationList
from servicekit.contracts.base import ContractError
from servicekit.contracts.revocation import CHANGES_KEY, ENTRIES_KEY, Revocation

PAUSE: Final = 0.25
"""Seconds between two questions."""
DEADLINE: Final = 0.5
"""Seconds for each call."""
WHOLE_EVERY: Final = 60.0
"""Seconds after which the whole list is read again whatever the cursor says."""
PAGE: Final = 500

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Change:
    entry_id: bytes
    number: float


class RevocationFeed:
    """Reads from ``client``, a redis-py client, into ``revocations``.

    ``clock`` never goes back; ``wall`` is seconds since the epoch.
    """

    def __init__(
        self, *, client: Any, revocations: RevocationList, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._client = client
        self._revocations = revocations
        self._clock = clock
        self._wall = wall
        self._cursor: _Change | None = None
        self._whole_at = clock()
        self._read_at: float | None = None
        self._away: bool | None = None
        self.failures = 0
        """Questions that were not answered."""

    @property
    def age(self) -> float | None:
        """Seconds since the list was as the store had it; ``None`` before it was read for the first time."""
        return None if self._read_at is None else self._clock() - self._read_at

    @property
    def known(self) -> int:
        """Revocations in force."""
        return len(self._revocations)

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                await self._catch_up()
            except (RedisError, OSError) as error:
                self._failed(error)
            else:
                self._succeeded()
            await asyncio.sleep(PAUSE)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _catch_up(self) -> None:
        now = self._clock()
        if now - self._whole_at >= WHOLE_EVERY:
            self._cursor, self._whole_at = None, now
        while not await self._read_page():
            pass

    async def _read_page(self) -> bool:
        """Read the next changes; whether there are no more."""
        async with asyncio.timeout(2 * DEADLINE):
            changes = await self._changes()
            if self._cursor is not None:
                if not changes or changes[0] != self._cursor:
                    self._cursor = None
                    return False
                changes = changes[1:]
            if changes:
                texts = await self._client.hmget(ENTRIES_KEY, [change.entry_id for change in changes])
                self._learn(texts)
                self._cursor = changes[-1]
        return len(changes) < PAGE

    async def _changes(self) -> list[_Change]:
        """The change that the cursor is at, and up to :data:`PAGE` after it."""
        since = "-inf" if self._cursor is None else repr(self._cursor.number)
        found = await self._client.zrangebyscore(
            CHANGES_KEY, since, "+inf", start=0, num=PAGE + (self._cursor is not None), withscores=True
        )
        return [_Change(bytes(entry_id), float(number)) for entry_id, number in found]

    def _learn(self, texts: Sequence[bytes | None]) -> None:
        entries = []
        for text in texts:
            try:
                if text is not None:  # else it ended between the two calls
                    entries.append(Revocation.decode(text))
            except ContractError as error:
                _log.error("a revocation can't be read and is not in force", reason=str(error))
        if pushed_out := self._revocations.learn(entries, self._wall()):
            _log.error("more revocations than fit: some are no longer in force", count=pushed_out)

    def _succeeded(self) -> None:
        self._read_at = self._clock()
        self._revocations.loaded = True
        if self._away is not False:
            self._away = False
            _log.info("revocations are up to date", known=len(self._revocations))

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if self._away is not True:
            self._away = True
            _log.warning(
                "revocations can't be read: those that are known stay in force",
                error=type(error).__name__,
                loaded=self._revocations.loaded,
            )
