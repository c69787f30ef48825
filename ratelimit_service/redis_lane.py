"""One connection to Redis: opens it, tries it, serves chunks over it, gives it up, opens it again.

This is the circuit breaker. A lane is up when a real take on a bucket of its own has succeeded within a decision's
deadline. It is down while an answer is overdue, and is given up when that stays out for :data:`PATIENCE`, when
:data:`LATE_IN_A_ROW` answers came late, or at any error; then it is opened anew, with growing, jittered pauses.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from ratelimit_service.batching import Batcher, Chunk
from ratelimit_service.metrics import Metrics
from ratelimit_service.store import StoreError
from servicekit.buckets import script
from servicekit.buckets.bucket import MICROSECONDS, shape
from servicekit.buckets.keys import PREFIX
from servicekit.buckets.takes import Take

CONNECT_SECONDS = 1.0
"""For a connection's handshake, which no request waits for."""
IDLE_SECONDS = 2.0
"""After which an idle connection is tried, so that a death is noticed before the next request."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two tries to connect, doubled after each, at the most."""
PATIENCE = 0.1
"""Seconds after its deadline that an answer may still come without costing the connection."""
LATE_IN_A_ROW = 3
"""Late answers after which Redis is not busy for a moment, but slow."""

_SHA = hashlib.sha1(script.TEXT.encode(), usedforsecurity=False).hexdigest()
_PROBE = Take(PREFIX + b"probe", shape(requests=1000, period_us=MICROSECONDS, burst=1_000_000), 1)


class _Connection(Protocol):
    """What is used of redis-py's connections, which have no types."""

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool) -> None: ...

    def pack_command(self, *args: str | bytes | int) -> list[bytes]: ...

    async def send_packed_command(self, command: list[bytes], check_health: bool) -> None: ...

    async def read_response(self, disable_decoding: bool) -> bytes: ...


class Lane:
    """One connection at a time.

    Args:
        open_connection: a new connection, not yet connected.
        batcher: hands out the chunks.
        deadline: seconds in which a try has to succeed.
        changed: called when :attr:`up` has changed; with the reason when the connection was given up.
        jitter: random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        open_connection: Callable[[], _Connection],
        batcher: Batcher,
        deadline: float,
        metrics: Metrics,
        changed: Callable[[StoreError | None], None],
        jitter: Callable[[], float],
    ) -> None:
        self._open_connection = open_connection
        self._batcher = batcher
        self._deadline = deadline
        self._metrics = metrics
        self._changed = changed
        self._jitter = jitter
        self._late = 0
        self.up = False

    async def run(self) -> None:
        """Keep a connection up until cancelled."""
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                await self._connect_and_serve()
            except StoreError as error:
                self._metrics.store_failed(error.reason)
                self._set_up(False, error)
            if time.monotonic() - began > LONGEST_PAUSE + CONNECT_SECONDS:  # it had been up
                pause = FIRST_PAUSE
            await asyncio.sleep(pause * (0.5 + self._jitter() / 2))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _connect_and_serve(self) -> None:
        connection = self._open_connection()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
            await self._probe(connection)
            self._late = 0
            self._set_up(True)
            await self._serve(connection)
        except (RedisError, OSError, struct.error) as error:
            raise _mapped(error) from error
        finally:
            self.up = False
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
        requests, size, began = chunk.requests, chunk.size, time.perf_counter()
        try:
            async with asyncio.timeout(None) as patience:
                chunk.on_expiry = partial(self._overdue, patience)
                levels = script.unpack(requests, await _evaluate(connection, requests))
        except (RedisError, OSError, struct.error) as error:
            chunk.fail(_mapped(error))
            raise
        except asyncio.CancelledError:
            chunk.fail(StoreError("connection", "shutting down"))
            raise
        finally:
            chunk.on_expiry = None
        self._metrics.store_answered(time.perf_counter() - began, size)
        chunk.resolve(levels)
        self._answered()

    def _overdue(self, patience: asyncio.Timeout) -> None:
        self._late += 1
        self._metrics.store_failed("timeout")
        self._set_up(False)
        patience.reschedule(asyncio.get_running_loop().time() + PATIENCE)

    def _answered(self) -> None:
        if self.up:
            self._late = 0
        elif self._late >= LATE_IN_A_ROW:
            raise StoreError("timeout", f"{self._late} answers in a row came late")
        else:
            self._set_up(True)

    async def _probe(self, connection: _Connection) -> None:
        async with asyncio.timeout(self._deadline):
            await _evaluate(connection, [[_PROBE]])

    def _set_up(self, up: bool, reason: StoreError | None = None) -> None:
        self.up = up
        self._changed(reason)


async def _evaluate(connection: _Connection, requests: Sequence[Sequence[Take]]) -> bytes:
    arguments = script.pack(requests)
    try:
        return await _call(connection, "EVALSHA", _SHA, *arguments)
    except NoScriptError:  # nothing ran; EVAL loads the script for the calls to come
        return await _call(connection, "EVAL", script.TEXT, *arguments)


async def _call(connection: _Connection, *command: str | bytes | int) -> bytes:
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    return await connection.read_response(disable_decoding=True)


def _mapped(error: RedisError | OSError | struct.error) -> StoreError:
    if isinstance(error, TimeoutError):
        return StoreError("timeout")
    if isinstance(error, ReadOnlyError):
        return StoreError("read_only", str(error))
    if isinstance(error, ResponseError | struct.error):
        return StoreError("refused", str(error))
    return StoreError("connection", str(error))
