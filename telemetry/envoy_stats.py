"""Fetching one Envoy's Prometheus text, with a deadline and a bound."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import httpx

from telemetry.families import FILTER

LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes; a gateway with ten thousand upstreams stays well below."""


class StatsError(Exception):
    """Envoy did not give its stats; the text says why."""


class EnvoyStats:
    """Reads ``/stats/prometheus`` of one Envoy.

    Args:
        url: where Envoy shows it, without a query.
        deadline: seconds for the whole answer.
    """

    def __init__(self, *, url: str, deadline: float, client: httpx.AsyncClient) -> None:
        self._url = f"{url}?usedonly&filter={quote(FILTER)}"
        self._deadline = deadline
        self._client = client

    async def read(self) -> str:
        """The text as it stands now.

        Raises:
            StatsError: Envoy is away, too slow, or the text is too long.
        """
        try:
            async with asyncio.timeout(self._deadline), self._client.stream("GET", self._url) as response:
                response.raise_for_status()
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_PAGE:
                        raise StatsError(f"more than {LARGEST_PAGE} bytes of stats")
        except (httpx.HTTPError, TimeoutError) as error:
            raise StatsError(str(error) or type(error).__name__) from error
        return body.decode(errors="replace")
