"""Requests that arrive together go together: in one chunk, with one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ratelimit_service.store import StoreError
from servicekit.buckets.takes import Level, Take

QUIET_TURNS = 16
"""Turns of the event loop without a newcomer after which a chunk goes. gRPC hands requests over one by one, about every
tenth turn under load; an empty turn takes microseconds."""
HOLD = 0.002
"""Seconds for which a chunk is held at most while newcomers keep arriving."""

_STALL = 0.002
"""Seconds by which a timer may be late before it is the event loop that was late, not the store."""
_AFTER_STALL = 0.004
"""Seconds that a chunk has after such a stall, once: to be sent, if it was not yet, and for its answer to be read."""


class _Waiter(NamedTuple):
    takes: Sequence[Take]
    answer: asyncio.Future[Sequence[Level]]


class Chunk:
    """Requests that go to the store in one call, and fail together at their deadline."""

    __slots__ = ("_loop", "_stalled", "_timer", "_waiters", "due", "on_expiry", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._loop = loop
        self._waiters: list[_Waiter] = []
        self._timer = loop.call_at(due, self._expire)
        self._stalled = False
        self.due = due
        self.size = 0
        self.on_expiry: Callable[[], None] | None = None
        """Called when the deadline passes while someone works on the chunk."""

    @property
    def requests(self) -> list[Sequence[Take]]:
        """What every waiting request wants, in order of arrival."""
        return [waiter.takes for waiter in self._waiters]

    @property
    def done(self) -> bool:
        """Whether everybody has been answered."""
        return not self._waiters

    def add(self, takes: Sequence[Take]) -> asyncio.Future[Sequence[Level]]:
        """Let one more request wait."""
        answer: asyncio.Future[Sequence[Level]] = self._loop.create_future()
        self._waiters.append(_Waiter(takes, answer))
        self.size += len(takes)
        return answer

    def resolve(self, levels: Sequence[Sequence[Level]]) -> None:
        """Answer everybody; nobody, if the deadline was quicker."""
        if self.done:
            return
        for waiter, answer in zip(self._end(), levels, strict=True):
            if not waiter.answer.done():  # a caller that has gone away cancelled it
                waiter.answer.set_result(answer)

    def fail(self, error: StoreError) -> None:
        """Tell everybody that there will be no answer."""
        for waiter in self._end():
            if not waiter.answer.done():
                waiter.answer.set_exception(error)

    def _end(self) -> list[_Waiter]:
        self._timer.cancel()
        waiters, self._waiters = self._waiters, []
        return waiters

    def _expire(self) -> None:
        if not self._stalled and self._loop.time() > self.due + _STALL:
            # This process had no processor. Blaming the store would drop a good connection.
            self._stalled = True
            self._timer = self._loop.call_later(_AFTER_STALL, self._expire)
            return
        if self.on_expiry is not None:
            self.on_expiry()
        self.fail(StoreError("timeout"))


class Batcher:
    """Collects requests into chunks and hands the chunks out.

    Args:
        deadline: seconds from a chunk's first request to its end, waiting included.
        max_takes: buckets in one chunk.
        max_chunks: chunks that may wait; beyond them requests fail at once.
    """

    def __init__(self, *, deadline: float, max_takes: int, max_chunks: int = 16) -> None:
        self._deadline = deadline
        self._max_takes = max_takes
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue(max_chunks)
        self._open: Chunk | None = None

    def put(self, takes: Sequence[Take]) -> asyncio.Future[Sequence[Level]]:
        """Let one request wait for its answer.

        Raises:
            StoreError: too many wait already.
        """
        chunk = self._open
        if chunk is None or chunk.done or chunk.size + len(takes) > self._max_takes:
            chunk = self._begin()
        return chunk.add(takes)

    async def next(self) -> Chunk:
        """The oldest chunk that somebody still waits for; from now on it takes no more requests."""
        while True:
            chunk = await self._chunks.get()
            await self._hold(chunk)
            if chunk is self._open:
                self._open = None
            if not chunk.done:
                return chunk

    async def _hold(self, chunk: Chunk) -> None:
        loop = asyncio.get_running_loop()
        until, size, quiet = loop.time() + HOLD, chunk.size, 0
        while chunk is self._open and quiet < QUIET_TURNS and loop.time() < until:
            await asyncio.sleep(0)
            quiet = quiet + 1 if chunk.size == size else 0
            size = chunk.size

    def fail_all(self, error: StoreError) -> None:
        """Tell everybody who waits in an unsent chunk that there will be no answer."""
        self._open = None
        while not self._chunks.empty():
            self._chunks.get_nowait().fail(error)

    def _begin(self) -> Chunk:
        if self._chunks.full():
            raise StoreError("overloaded")
        loop = asyncio.get_running_loop()
        self._open = chunk = Chunk(loop, loop.time() + self._deadline)
        self._chunks.put_nowait(chunk)
        return chunk
