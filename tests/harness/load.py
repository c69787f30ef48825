"""A small HTTP/1.1 load generator: keep-alive connections that send as fast as answers come, and count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class LoadResult:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Exchanges that ended without a whole answer."""

    @property
    def total(self) -> int:
        """Answers received."""
        return self.statuses.total()


class Load:
    """Sends ``GET path`` over ``connections`` connections until :meth:`stop`.

    Args:
        pause: seconds between two requests of one connection.
        reconnect_after: requests after which a connection is replaced by a new one; ``None`` keeps each for ever.
    """

    def __init__(
        self,
        *,
        port: int,
        path: str,
        connections: int = 16,
        headers: Mapping[str, str] | None = None,
        pause: float = 0.0,
        reconnect_after: int | None = None,
    ) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()
        self._port = port
        self._connections = connections
        self._pause = pause
        self._reconnect_after = reconnect_after
        self._stopping = False
        self.result = LoadResult()

    async def run(self) -> LoadResult:
        """Send until stopped and return what was seen."""
        await asyncio.gather(*(self._connection() for _ in range(self._connections)))
        return self.result

    def stop(self) -> None:
        """Let every connection finish the exchange it is in."""
        self._stopping = True

    async def _connection(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                self.result.broken.append(f"connect: {error}")
                await asyncio.sleep(0.01)  # a refused connection must not become a busy loop
                continue
            try:
                await self._converse(reader, writer)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.result.broken.append(f"{type(error).__name__}: {error}")
            finally:
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests over one connection, as many as it may have."""
        sent = 0
        while not self._stopping and sent != self._reconnect_after and await self._exchange(reader, writer):
            sent += 1
            if self._pause:
                await asyncio.sleep(self._pause)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection may be used again."""
        writer.write(self._request)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            await _read_chunks(reader)
        self.result.statuses[int(head[0].split(" ")[1])] += 1
        return headers.get("connection") != "close"


async def _read_chunks(reader: asyncio.StreamReader) -> None:
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()
