"""The life of one stream: reads what comes, writes what the state machine wants, ends by age or when told to.

Knows the event loop and no transport.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from controlplane.xds.messages import DeltaRequest, Response, SotwRequest
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import StreamState
from controlplane.xds.subscription import Answer

Request = SotwRequest | DeltaRequest
Read = Callable[[], Awaitable[Request | None]]
"""The next request; ``None`` when the client will send no more."""
Write = Callable[[Response], Awaitable[None]]
"""Returns when the transport has taken the response: a slow client holds it up."""
Taken = Callable[[Request, Answer | None], None]
"""Told of every request, and what it said to an outstanding response."""


class Connection:
    """Drives one :class:`~controlplane.xds.stream.StreamState`.

    There is no queue: a change only wakes the writer, which sends what is newest when the client has room for it.

    Args:
        ends_after: seconds until the stream is ended.
        write_seconds: how long the client may take to receive one response.
    """

    def __init__(
        self, *, state: StreamState, read: Read, write: Write, taken: Taken, ends_after: float, write_seconds: float
    ) -> None:
        self._state = state
        self._read = read
        self._write = write
        self._taken = taken
        self._ends_at = time.monotonic() + ends_after
        self._write_seconds = write_seconds
        self._wake = asyncio.Event()
        self._ending = False

    def aim(self, snapshot: Snapshot | None) -> None:
        """From now on the client should have ``snapshot``."""
        self._state.aim(snapshot)
        self._wake.set()

    def end(self) -> None:
        """End the stream as soon as no response is half sent."""
        self._ending = True
        self._wake.set()

    async def run(self, first: Request) -> None:
        """Serve until the client has gone, the time is over, or :meth:`end`.

        Raises:
            XdsError: the client sent what no client may.
            TimeoutError: the client took too long to receive a response.
        """
        self._take(first)
        reader = asyncio.create_task(self._receive(), name="xds reader")
        try:
            while not reader.done() and not self._ending and time.monotonic() < self._ends_at:
                self._wake.clear()
                await self._send()
                await self._sleep()
            if reader.done():
                reader.result()
        finally:
            reader.cancel()

    async def _receive(self) -> None:
        try:
            while (request := await self._read()) is not None:
                self._take(request)
                self._wake.set()
        finally:
            self._wake.set()

    def _take(self, request: Request) -> None:
        self._taken(request, self._state.take(request, time.monotonic()))

    async def _send(self) -> None:
        while not self._ending and (response := self._state.next_response(time.monotonic())) is not None:
            async with asyncio.timeout(self._write_seconds):
                await self._write(response)

    async def _sleep(self) -> None:
        """Until something happens, or a gate opens by time."""
        wake_at = min(self._ends_at, self._state.wake_at or self._ends_at)
        try:
            async with asyncio.timeout(max(0.0, wake_at - time.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            return
