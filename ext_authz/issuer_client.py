"""Asks endpoints of issuers by POST, as a client of theirs, within bounds of time, size and place."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

import httpx

from ext_authz.key_uri import is_loopback
from servicekit.outside_http import PLAIN, BodyError, OutsideClients, read_body

DEADLINE: Final = 5.0
"""Seconds for everything: names, connection, TLS, body."""
MAX_BODY: Final = 16 * 1024
"""Bytes: tokens have to fit into headers and cookies, and what is said of them is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerEndpoint:
    """An endpoint of an issuer, and as whom it is asked."""

    uri: str
    client_id: str
    client_secret: bytes | None = field(default=None, repr=False)
    """``None`` for a public client."""


class IssuerError(Exception):
    """The issuer could not be asked, or did not answer as it should. The text holds no token and no secret."""


class IssuerClient:
    """Sends forms with httpx. No redirect is followed: it would be sent tokens."""

    def __init__(self, *, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._clients = OutsideClients()

    async def post(self, endpoint: IssuerEndpoint, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body.

        Raises:
            IssuerError: there is no answer, or one beyond the bounds.
        """
        try:
            async with asyncio.timeout(self._deadline):
                return await self._post(endpoint, dict(form))
        except TimeoutError:
            raise IssuerError(f"no answer within {self._deadline:g} s") from None
        except BodyError as error:
            raise IssuerError(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise IssuerError(type(error).__name__) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._clients.aclose()

    async def _post(self, endpoint: IssuerEndpoint, form: dict[str, str]) -> tuple[int, bytes]:
        headers = {"accept": "application/json", **PLAIN}
        if endpoint.client_secret is None:
            form["client_id"] = endpoint.client_id
        else:
            headers["authorization"] = _basic(endpoint.client_id, endpoint.client_secret)
        client = self._clients.client(direct=is_loopback(endpoint.uri))
        async with client.stream("POST", endpoint.uri, data=form, headers=headers) as response:
            return response.status_code, await read_body(response, MAX_BODY)


def _basic(client_id: str, secret: bytes) -> str:
    """RFC 6749 §2.3.1: both are form-encoded first, unlike in other uses of Basic."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"
