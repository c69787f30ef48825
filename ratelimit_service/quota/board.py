"""What the Envoys of all rate-limit services want, in Redis, so that each service cuts the same limit into the same
shares.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import isfinite
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from ratelimit_service.quota.book import Claim, QuotaBook
from servicekit.buckets.keys import PREFIX
from servicekit.contracts.limit_policy import Quota

PAUSE: Final = 1.0
"""Seconds between two looks."""
DEADLINE: Final = 0.5
"""Seconds for each."""
STALE_SECONDS: Final = 10
"""A claim that nobody has renewed for so long is none."""
MOST_CLAIMS: Final = 10_000

BOARD_KEY: Final = PREFIX + b"quota"

SHARE: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for i = 1, #ARGV - 2, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.3f', now) .. ' ' .. ARGV[i + 1])
end
local stale, most = tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
local found, kept = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #found, 2 do
  local at, demand = string.match(found[i + 1], '^(%S+) (%S+)$')
  if at and math.abs(now - tonumber(at)) <= stale and #kept < 2 * most then
    kept[#kept + 1] = found[i]
    kept[#kept + 1] = demand
  else
    redis.call('HDEL', KEYS[1], found[i])
  end
end
if #kept > 0 then
  redis.call('EXPIRE', KEYS[1], stale)
end
return kept
"""
"""KEYS: the board. ARGV: claims and demands in turn, then the seconds after which a claim is stale, and how many there
may be. Returns all claims and demands."""

_log = structlog.get_logger(__name__)


class QuotaBoard:
    """Keeps ``book`` up to date with the claims of others, through ``client``, a redis-py client.

    While Redis is away, what others wanted last is taken for what they want.

    Args:
        changed: called after each look.
    """

    def __init__(self, *, client: Any, book: QuotaBook, changed: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._book = book
        self._changed = changed

    async def run(self) -> None:
        """Look for ever."""
        is_away = False
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.look()
            except (RedisError, OSError) as error:  # counted and told where limits are decided
                if not is_away:
                    _log.info("quotas are shared out among the proxies of this process", error=type(error).__name__)
                is_away = True
            else:
                is_away = False
            await self._changed()

    async def look(self) -> None:
        """Tell what is wanted here, and learn what is elsewhere; where nothing is wanted nobody is asked."""
        written = _written(self._book.claims())
        if not written:
            return
        async with asyncio.timeout(DEADLINE):
            found = await self._client.eval(SHARE, 1, BOARD_KEY, *written, STALE_SECONDS, MOST_CLAIMS)
        self._book.hear(_read(found))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _written(claims: Iterable[Claim]) -> list[str]:
    written: list[str] = []
    for key, stream, demand in claims:
        written += (json.dumps([*key, stream]), f"{demand:.6g}")
    return written[: 2 * MOST_CLAIMS]


def _read(found: list[bytes]) -> Mapping[Quota, Mapping[str, float]]:
    claims: dict[Quota, dict[str, float]] = {}
    for name, demand in zip(found[::2], found[1::2], strict=True):
        try:
            limit, by, route, stream = json.loads(name)
            wanted = float(demand)
        except (ValueError, TypeError, RecursionError):
            continue
        if isfinite(wanted):
            claims.setdefault(Quota(str(limit), str(by), str(route)), {})[str(stream)] = wanted
    return claims
