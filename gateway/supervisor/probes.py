"""How a supervisor asks a process whether it is ready."""

from __future__ import annotations

import asyncio

from gateway.http_client import UnreachableError, exchange, request
from gateway.supervisor.plan import Probe
from servicekit.address import Address

_TIMEOUT = 1.0


def http_ok(address: Address, path: str) -> Probe:
    """Ready when ``GET path`` answers 200."""

    async def probe() -> bool:
        try:
            return (await request(address, path, deadline=_TIMEOUT)).status == 200
        except UnreachableError:
            return False

    return probe


def redis_pong(address: Address) -> Probe:
    """Ready when ``PING`` is answered."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return b"PONG" in await exchange(address, b"PING\r\n", until=b"\r\n")
        except (OSError, TimeoutError):
            return False

    return probe
