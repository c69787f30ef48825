"""HTTP to the world outside: clients that follow no redirect by themselves, and bodies of a bounded size."""

from __future__ import annotations

import httpx


class BodyError(Exception):
    """A body that is too large, or encoded as nobody asked for."""


PLAIN = {"accept-encoding": "identity"}
"""Nothing compressed: a small answer must not become a large one here."""


class OutsideClients:
    """Two clients of httpx, made when they are needed: one for this machine, which no proxy stands before.

    Neither has a time-out of its own, nor a bound on its connections: who asks has both.
    """

    def __init__(self) -> None:
        self._clients: dict[bool, httpx.AsyncClient] = {}

    def client(self, *, direct: bool) -> httpx.AsyncClient:
        """The one that passes by the environment's proxy, or the other; the authorities of both are the same."""
        client = self._clients.get(direct)
        if client is None:
            client = self._clients[direct] = httpx.AsyncClient(
                verify=httpx.create_ssl_context(trust_env=True),
                trust_env=not direct,
                follow_redirects=False,
                timeout=None,  # noqa: S113 -- one for everything together, where it is asked
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            )
        return client

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()


async def read_body(response: httpx.Response, most: int) -> bytes:
    """The body of an answer that was asked for with :data:`PLAIN`.

    Raises:
        BodyError: it has more than ``most`` bytes, of which no more are read, or a content encoding.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BodyError("answered with a content encoding that was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            raise BodyError(f"answered with more than {most} bytes")
    return bytes(body)
