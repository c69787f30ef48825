"""The least HTTP that a supervisor needs: one request, one answer, over TCP or a Unix socket.

A full client costs a tenth of a second to import, at every start.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from servicekit.address import Address

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LARGEST_ANSWER = 1024 * 1024


class UnreachableError(Exception):
    """No whole answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. A chunked body is left as it came."""

    status: int
    body: bytes


async def request(address: Address, path: str, *, method: str = "GET", deadline: float = 1.0) -> Answer:
    """Send one request without a body and read the answer until the connection closes.

    Args:
        address: where the server listens; a wildcard address is asked over loopback.
        path: path and query.
        method: the HTTP method.
        deadline: seconds for the whole exchange.

    Raises:
        UnreachableError: there was no connection, no answer in time, or none that is HTTP.
    """
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    try:
        async with asyncio.timeout(deadline):
            raw = await exchange(address, head.encode())
    except (OSError, TimeoutError) as error:
        raise UnreachableError(f"{address}: {error or 'no answer in time'}") from error
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise UnreachableError(f"{address}: that is not HTTP")
    return Answer(int(match[1]), raw.partition(b"\r\n\r\n")[2])


async def exchange(address: Address, data: bytes, *, until: bytes | None = None) -> bytes:
    """Connect, send ``data``, and read until the other side closes or ``until`` was seen, at most 1 MiB.

    Raises:
        OSError: the connection failed.
    """
    if address.is_unix:
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        reader, writer = await asyncio.open_connection(reachable(address).host, address.port)
    try:
        writer.write(data)
        answer = bytearray()
        while len(answer) < _LARGEST_ANSWER and (until is None or until not in answer):
            chunk = await reader.read(65536)
            if not chunk:
                break
            answer += chunk
        return bytes(answer)
    finally:
        writer.close()


def reachable(address: Address) -> Address:
    """The address under which this machine reaches a server that binds ``address``."""
    if address.host == "0.0.0.0":  # noqa: S104  it is only compared
        return Address(host="127.0.0.1", port=address.port)
    if address.host == "::":
        return Address(host="::1", port=address.port)
    return address
