"""Fetches a JWK Set over HTTP within bounds of time, size and place."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import httpx

from ext_authz.errors import KeyFetchError
from ext_authz.key_uri import is_loopback
from ext_authz.keys import MAX_SET_BYTES
from servicekit.outside_http import PLAIN, BodyError, OutsideClients, read_body

DEADLINE: Final = 5.0
"""Seconds for everything: names, connection, TLS, redirects, body."""
MAX_REDIRECTS: Final = 3


class FetchKeys(Protocol):
    """The port: how a JWK Set is had from a URI."""

    async def fetch(self, uri: str) -> bytes:
        """The document.

        Raises:
            KeyFetchError: it can't be had.
        """
        ...


class HttpKeyFetcher:
    """:class:`FetchKeys` with httpx. Redirects are followed on the same origin only."""

    def __init__(self, *, deadline: float = DEADLINE, max_bytes: int = MAX_SET_BYTES) -> None:
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._clients = OutsideClients()

    async def fetch(self, uri: str) -> bytes:
        """See :meth:`FetchKeys.fetch`."""
        try:
            async with asyncio.timeout(self._deadline):
                return await self._follow(uri)
        except TimeoutError as error:
            raise KeyFetchError(f"no answer within {self._deadline:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise KeyFetchError(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._clients.aclose()

    async def _follow(self, uri: str) -> bytes:
        client = self._clients.client(direct=is_loopback(uri))
        request = client.build_request("GET", uri, headers={"accept": "application/json", **PLAIN})
        origin = _origin(request.url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    return await self._body(response)
                request = response.next_request
            finally:
                await response.aclose()
            if _origin(request.url) != origin:
                raise KeyFetchError("redirected to another host, which is not followed")
        raise KeyFetchError(f"more than {MAX_REDIRECTS} redirects")

    async def _body(self, response: httpx.Response) -> bytes:
        if response.status_code != httpx.codes.OK:
            raise KeyFetchError(f"answered {response.status_code}")
        try:
            return await read_body(response, self._max_bytes)
        except BodyError as error:
            raise KeyFetchError(str(error)) from None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
