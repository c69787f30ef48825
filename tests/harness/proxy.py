"""A byte proxy between two Unix sockets that delays and cuts, as a bad network would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from servicekit.address import Address


class DelayingProxy:
    """Passes bytes on, each piece :attr:`delay` seconds late in one direction; counts connections."""

    def __init__(self, *, listen: Path, target: Path) -> None:
        self.delay = 0.0
        self.accepted = 0
        self._listen = listen
        self._target = target
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[DelayingProxy]:
        """Listen while the block runs."""
        server = await asyncio.start_unix_server(self._accept, self._listen)
        try:
            yield self
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(path=str(self._listen))

    def cut(self) -> None:
        """End every connection at once, without a word."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(self._target)
        except OSError:  # nobody is there
            writer.close()
            return
        for source, sink, delayed in ((reader, there_writer, True), (there_reader, writer, False)):
            self._writers.add(sink)
            pump = asyncio.create_task(self._pump(source, sink, delayed=delayed))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, delayed: bool) -> None:
        try:
            while data := await source.read(65_536):
                if delayed:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # the other side is gone: so is this one
        finally:
            self._writers.discard(sink)
            sink.close()
