"""Buckets in Redis or Valkey: a few connections, each serving one chunk of requests at a time.

The circuit breaker is in the connections. One that misses a deadline or hears an error is dropped and counts as down;
it comes back only when a real take on a bucket of its own has succeeded in time, tried in the background with growing,
jittered pauses. With no connection up, :attr:`RedisStore.available` is false and asking costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import structlog
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from ratelimit_service import script
from ratelimit_service.batching import Batcher, Chunk
from ratelimit_service.bucket import MICROSECONDS, shape
from ratelimit_service.decision import Level, Take
from ratelimit_service.keys import PREFIX
from ratelimit_service.metrics import Metrics
from ratelimit_service.store import StoreError

_log = structlog.get_logger(__name__)

_SHA = hashlib.sha1(script.TEXT.encode(), usedforsecurity=False).hexdigest()
_PROBE = Take(PREFIX + b"probe", shape(requests=1000, period_us=MICROSECONDS, burst=1_000_000), 1)

CONNECT_SECONDS = 1.0
"""For a connection's handshake, which no request waits for."""
IDLE_SECONDS = 2.0
"""After which an idle connection is tried, so that a death is noticed before the next request."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two tries to connect, doubled after each, at the most."""


class _Connection(Protocol):
    """What is used of redis-py's connections, which have no types."""

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool) -> None: ...

    def pack_command(self, *args: str | bytes | int) -> list[bytes]: ...

    async def send_packed_command(self, command: list[bytes], check_health: bool) -> None: ...

    async def read_response(self, disable_decoding: bool) -> bytes: ...


class RedisStore:
    """The shared store.

    Args:
        url: as redis-py understands it: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password.
        deadline: seconds from a request's arrival to its answer or a :class:`StoreError`.
        connections: how many calls may be under way at a time. One is best for a Redis nearby, since what arrives
            during a call goes together in the next.
        max_takes: buckets in one call.

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
        pool: Any = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._make_connection: Callable[[], _Connection] = pool.make_connection
        self._metrics = metrics
        self._deadline = deadline
        self._connections = connections
        self._jitter = jitter
        self._batcher = Batcher(deadline=deadline, max_takes=max_takes)
        self._up = 0
        self._reported_away: bool | None = None

    @property
    def available(self) -> bool:
        """Whether a connection is up."""
        return self._up > 0

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """Take all tokens of one request, or none of them, in one call with everything else that arrives now.

        Raises:
            StoreError: the store is away, overloaded or too slow.
        """
        if not self._up:
            raise StoreError("connection", "no connection is up")
        try:
            answer = self._batcher.put(takes)
        except StoreError as error:
            self._metrics.store_failed(error.reason)
            raise
        return await answer

    async def run(self) -> None:
        """Keep the connections up until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            for number in range(self._connections):
                lanes.create_task(self._lane(), name=f"redis connection {number}")

    async def _lane(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                await self._connect_and_serve()
            except StoreError as error:
                self._metrics.store_failed(error.reason)
                self._report(error)
            pause = FIRST_PAUSE if time.monotonic() - began > LONGEST_PAUSE + CONNECT_SECONDS else pause
            await asyncio.sleep(pause * (0.5 + self._jitter() / 2))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _connect_and_serve(self) -> None:
        connection = self._make_connection()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
            await self._probe(connection)
            self._went_up()
            try:
                await self._serve(connection)
            finally:
                self._went_down()
        except (RedisError, OSError) as error:
            raise _mapped(error) from error
        finally:
            await connection.disconnect(nowait=True)

    async def _serve(self, connection: _Connection) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    chunk = await self._batcher.next()
            except TimeoutError:
                await self._probe(connection)
            else:
                await self._decide(connection, chunk)

    async def _decide(self, connection: _Connection, chunk: Chunk) -> None:
        requests, began = chunk.requests, time.perf_counter()
        try:
            async with asyncio.timeout(None) as interrupt:
                chunk.on_expiry = partial(interrupt.reschedule, 0)
                reply = await _evaluate(connection, requests)
                chunk.on_expiry = None
        except (RedisError, OSError) as error:
            chunk.on_expiry = None
            chunk.fail(_mapped(error))
            raise
        except asyncio.CancelledError:
            chunk.fail(StoreError("connection", "shutting down"))
            raise
        self._metrics.store_answered(time.perf_counter() - began, chunk.size)
        chunk.resolve(script.unpack(requests, reply))

    async def _probe(self, connection: _Connection) -> None:
        async with asyncio.timeout(self._deadline):
            await _evaluate(connection, [[_PROBE]])

    def _went_up(self) -> None:
        self._up += 1
        self._metrics.store_up(True)
        if self._reported_away is not False:
            self._reported_away = False
            _log.info("limits are counted in redis")

    def _went_down(self) -> None:
        self._up -= 1
        if self._up == 0:
            self._metrics.store_up(False)
            self._batcher.fail_all(StoreError("connection", "no connection is up"))

    def _report(self, error: StoreError) -> None:
        if self._up == 0 and not self._reported_away:
            self._reported_away = True
            _log.warning("redis is away: limits are decided here until it is back", reason=str(error))


async def _evaluate(connection: _Connection, requests: Sequence[Sequence[Take]]) -> bytes:
    arguments = script.pack(requests)
    try:
        return await _call(connection, "EVALSHA", _SHA, *arguments)
    except NoScriptError:  # nothing ran; EVAL loads the script for the calls to come
        return await _call(connection, "EVAL", script.TEXT, *arguments)


async def _call(connection: _Connection, *command: str | bytes | int) -> bytes:
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    return await connection.read_response(disable_decoding=True)


def _mapped(error: RedisError | OSError) -> StoreError:
    if isinstance(error, TimeoutError):
        return StoreError("timeout")
    if isinstance(error, ReadOnlyError):
        return StoreError("read_only", str(error))
    if isinstance(error, ResponseError):
        return StoreError("refused", str(error))
    return StoreError("connection", str(error))
