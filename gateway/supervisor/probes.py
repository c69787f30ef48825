"""How a supervisor asks a process whether it is ready, or at least alive."""

from __future__ import annotations

import asyncio

from gateway.http_client import UnreachableError, exchange, request
from gateway.supervisor.plan import Probe
from servicekit.address import Address

_TIMEOUT = 1.0


def http_ok(address: Address, path: str, *, deadline: float = _TIMEOUT) -> Probe:
    """Yes when ``GET path`` answers 200 within ``deadline`` seconds."""

    async def probe() -> bool:
        try:
            return (await request(address, path, deadline=deadline)).status == 200
        except UnreachableError:
            return False

    return probe


def redis_pong(address: Address) -> Probe:
    """Yes when ``PING`` is answered."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return b"PONG" in await exchange(address, b"PING\r\n", until=b"\r\n")
        except (OSError, TimeoutError):
            return False

    return probe
