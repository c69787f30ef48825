"""A list of endpoints at a URL, fetched within bounds of time and size."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import httpx

from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.reading import LastReading
from controlplane.discovery.targets import MAX_BYTES
from controlplane.model import Endpoint
from servicekit.outside_http import PLAIN, BodyError, read_body

_TAG = re.compile(r'(?:W/)?"[!#-~]{0,1000}"')
"""RFC 9110 §8.8.3."""


class HttpList:
    """:class:`~controlplane.discovery.sources.Lists` of one URL.

    An answer with an ``ETag`` is asked for with ``If-None-Match`` the next time (RFC 9110 §13.1.2). Redirects are not
    followed: the document says where the list is.

    Args:
        client: follows no redirects.
        url: the list.
        timeout: seconds for everything: names, connection, TLS, body.
        at_once: how many fetches of the process may be under way.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, *, timeout: float, at_once: asyncio.Semaphore) -> None:
        self._client = client
        self._url = url
        self._timeout = timeout
        self._at_once = at_once
        self._tag = ""
        self._last = LastReading()

    async def read(self) -> Sequence[Endpoint] | None:
        """See :meth:`~controlplane.discovery.sources.Lists.read`."""
        async with self._at_once:
            found = await self._fetched()
        if found is None:
            self._last.again()
            return None
        body, self._tag = found
        return await self._last.read(body)

    async def _fetched(self) -> tuple[bytes, str] | None:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._ask()
        except TimeoutError:
            raise DiscoveryError(f"no answer within {self._timeout:g} s") from None
        except BodyError as error:
            raise DiscoveryError(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Its text may repeat the URL.
            raise DiscoveryError(f"no answer: {type(error).__name__}") from None

    async def _ask(self) -> tuple[bytes, str] | None:
        headers = {"accept": "application/json, application/yaml", **PLAIN}
        if self._tag:
            headers["if-none-match"] = self._tag
        async with self._client.stream("GET", self._url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and self._tag:
                return None
            if response.status_code != httpx.codes.OK:
                raise DiscoveryError(f"answered {response.status_code}")
            tag = response.headers.get("etag", "")
            return await read_body(response, MAX_BYTES), tag if _TAG.fullmatch(tag) else ""
