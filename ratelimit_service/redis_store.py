"""Buckets in Redis or Valkey, over a few connections that each serve one chunk of requests at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ratelimit_service.batching import Batcher
from ratelimit_service.metrics import Metrics
from ratelimit_service.redis_lane import CONNECT_SECONDS, Lane
from ratelimit_service.store import StoreError
from servicekit.buckets import script
from servicekit.buckets.takes import Level, Take
from servicekit.redis_client import connection_pool

_log = structlog.get_logger(__name__)


class RedisStore:
    """The shared store.

    Args:
        url: a :data:`~servicekit.redis_client.RedisUrl`.
        deadline: seconds from a request's arrival to its answer or a :class:`StoreError`.
        connections: how many calls may be under way at a time. One is best for a Redis nearby, since what arrives
            during a call goes together in the next.
        max_takes: buckets in one call.
        jitter: random numbers from 0 to 1, which spread reconnects.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(
        self,
        *,
        url: str,
        metrics: Metrics,
        deadline: float = 0.008,
        connections: int = 1,
        max_takes: int = script.MAX_TAKES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool = connection_pool(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._metrics = metrics
        self._batcher = Batcher(deadline=deadline, max_takes=max_takes)
        self._lanes = [
            Lane(
                open_connection=pool.make_connection,
                batcher=self._batcher,
                deadline=deadline,
                metrics=metrics,
                changed=self._changed,
                jitter=jitter,
            )
            for _ in range(connections)
        ]
        self._available = False
        self._said_available: bool | None = None

    @property
    def available(self) -> bool:
        """Whether a connection is up."""
        return self._available

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """Take all tokens of one request, or none of them, in one call with everything else that arrives now.

        Raises:
            StoreError: the store is away, overloaded or too slow.
        """
        if not self._available:
            raise StoreError("connection", "no connection is up")
        try:
            answer = self._batcher.put(takes)
        except StoreError as error:
            self._metrics.store_failed(error.reason)
            raise
        return await answer

    async def run(self) -> None:
        """Keep the connections up until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number, lane in enumerate(self._lanes):
                    group.create_task(lane.run(), name=f"redis connection {number}")
        finally:
            await self._pool.disconnect()

    def _changed(self, given_up: StoreError | None) -> None:
        self._available = any(lane.up for lane in self._lanes)
        self._metrics.store_up(self._available)
        if not self._available:
            self._batcher.fail_all(StoreError("connection", "no connection is up"))
        self._say(given_up)

    def _say(self, given_up: StoreError | None) -> None:
        if self._available and self._said_available is not True:
            self._said_available = True
            _log.info("limits are counted in redis")
        if given_up is not None and not self._available and self._said_available is not False:
            self._said_available = False
            _log.warning("redis is away: limits are decided here until it is back", reason=str(given_up))
