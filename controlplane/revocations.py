"""The list of revoked tokens in Redis: added to, read page by page, and withdrawn from. Every call has a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from redis.exceptions import RedisError

from servicekit.contracts.base import ContractError
from servicekit.contracts.revocation import (
    CHANGES_KEY,
    COUNTER_KEY,
    ENDS_KEY,
    ENTRIES_KEY,
    MOST_REVOCATIONS,
    Revocation,
)

DEADLINE: Final = 2.0
"""Seconds for each call."""
ENDED_FOR: Final = 60.0
"""Seconds after its end that a revocation is removed: the clocks of those who obey it may be behind."""
_SWEPT: Final = 1000

_ADD: Final = """
local ended = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[4], 'LIMIT', 0, ARGV[5])
for _, id in ipairs(ended) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[4]), ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
return 1
"""
_CHANGE: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[4]), ARGV[1])
return 1
"""
_KEYS: Final = (ENTRIES_KEY, CHANGES_KEY, ENDS_KEY, COUNTER_KEY)

_T = TypeVar("_T")


class RevocationStoreError(Exception):
    """Redis did not do what it was asked; the text says why in few words and holds no address."""


class TooManyRevocationsError(RevocationStoreError):
    """There is room for no more of them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One revocation in the list."""

    number: int
    """Of its last change; the larger, the newer."""
    revocation: Revocation


class RevocationStore:
    """The list, through ``client``, a redis-py client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def add(self, revocation: Revocation, *, now: float) -> None:
        """Put it in force: within a second every ext_authz obeys it. ``now`` is seconds since the epoch.

        Raises:
            TooManyRevocationsError: the list is full.
            RevocationStoreError: Redis is away.
        """
        added = await _within_deadline(
            self._client.eval(
                _ADD,
                len(_KEYS),
                *_KEYS,
                revocation.id,
                revocation.encode(),
                repr(revocation.ends_at),
                repr(now - ENDED_FOR),
                _SWEPT,
                MOST_REVOCATIONS,
            )
        )
        if not added:
            raise TooManyRevocationsError(f"there are {MOST_REVOCATIONS} revocations already")

    async def find(self, revocation_id: str) -> Revocation | None:
        """The revocation of this id.

        Raises:
            RevocationStoreError: Redis is away, or holds something else there.
        """
        text = await _within_deadline(self._client.hget(ENTRIES_KEY, revocation_id))
        return None if text is None else _decode(text)

    async def withdraw(self, revocation: Revocation, *, now: float) -> bool:
        """Take it back; whether it was still there. What says so stays until its end.

        Raises:
            RevocationStoreError: Redis is away.
        """
        withdrawn = revocation.model_copy(update={"withdrawn_at": now})
        changed = self._client.eval(_CHANGE, len(_KEYS), *_KEYS, withdrawn.id, withdrawn.encode())
        return bool(await _within_deadline(changed))

    async def page(self, *, before: int | None, limit: int) -> list[Listed]:
        """The newest changes, or those before the number ``before``.

        Raises:
            RevocationStoreError: Redis is away.
        """
        newest = "+inf" if before is None else f"({before}"
        found = await _within_deadline(
            self._client.zrevrangebyscore(CHANGES_KEY, newest, "-inf", start=0, num=limit, withscores=True)
        )
        if not found:
            return []
        texts = await _within_deadline(self._client.hmget(ENTRIES_KEY, [entry_id for entry_id, _ in found]))
        listed = []
        for (_, number), text in zip(found, texts, strict=True):
            with suppress(RevocationStoreError):  # one that can't be read must not hide the others
                if text is not None:
                    listed.append(Listed(int(number), _decode(text)))
        return listed

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _decode(text: bytes) -> Revocation:
    try:
        return Revocation.decode(text)
    except ContractError as error:
        raise RevocationStoreError(str(error)) from error


async def _within_deadline(call: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(DEADLINE):
            return await call
    except (RedisError, OSError) as error:
        raise RevocationStoreError(type(error).__name__) from error
