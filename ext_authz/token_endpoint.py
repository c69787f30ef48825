"""Exchanges refresh tokens at an issuer's token endpoint (RFC 6749 §6), within bounds of time, size and place."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

import httpx

from ext_authz.credentials import TOKEN
from ext_authz.key_uri import is_loopback

DEADLINE: Final = 5.0
"""Seconds for everything: names, connection, TLS, body."""
MAX_BODY: Final = 64 * 1024
_TOKEN: Final = re.compile(TOKEN)
_VSCHARS: Final = re.compile(r"[\x20-\x7e]+")
_LONGEST_LIFE: Final = 10 * 365 * 86_400
_REFUSALS: Final = frozenset({"invalid_grant"})
"""Errors that are about the refresh token (RFC 6749 §5.2): all others are the gateway's or the issuer's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Where one provider's refresh tokens are exchanged, and as whom."""

    uri: str
    client_id: str
    client_secret: bytes | None = field(default=None, repr=False)
    """``None`` for a public client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What the issuer gave."""

    access_token: str = field(repr=False)
    expires_in: int | None
    """Seconds; ``None`` where the issuer does not say."""
    refresh_token: str | None = field(repr=False)
    """Another one, in the place of the one that was sent; ``None`` where that stays good."""


class RefreshRefusedError(Exception):
    """The issuer does not take this refresh token any more."""


class TokenEndpointError(Exception):
    """The issuer could not be asked, or did not answer as it should. The text holds no token and no secret."""


class ExchangeTokens(Protocol):
    """The port: how a refresh token becomes new tokens."""

    async def exchange(self, endpoint: TokenEndpoint, refresh_token: str) -> Renewed:
        """New tokens.

        Raises:
            RefreshRefusedError: the issuer says that this one is not good.
            TokenEndpointError: anything else.
        """
        ...


class HttpTokenEndpoints:
    """:class:`ExchangeTokens` with httpx. No redirect is followed: it would be sent the refresh token."""

    def __init__(self, *, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def exchange(self, endpoint: TokenEndpoint, refresh_token: str) -> Renewed:
        """See :meth:`ExchangeTokens.exchange`."""
        try:
            async with asyncio.timeout(self._deadline):
                status, body = await self._post(endpoint, refresh_token)
        except TimeoutError:
            raise TokenEndpointError(f"no answer within {self._deadline:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise TokenEndpointError(type(error).__name__) from None
        return read_answer(status, body)

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _post(self, endpoint: TokenEndpoint, refresh_token: str) -> tuple[int, bytes]:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if endpoint.client_secret is None:
            form["client_id"] = endpoint.client_id
        else:
            headers["authorization"] = _basic(endpoint.client_id, endpoint.client_secret)
        client = self._client(direct=is_loopback(endpoint.uri))
        async with client.stream("POST", endpoint.uri, data=form, headers=headers) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise TokenEndpointError("answered with a content encoding that was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY:
                    raise TokenEndpointError(f"answered with more than {MAX_BODY} bytes")
            return response.status_code, bytes(body)

    def _client(self, *, direct: bool) -> httpx.AsyncClient:
        client = self._clients.get(direct)
        if client is None:
            # A proxy of the environment is for the world outside, never for this machine.
            tls = httpx.create_ssl_context(trust_env=True)
            client = httpx.AsyncClient(verify=tls, trust_env=not direct, follow_redirects=False)
            self._clients[direct] = client
        return client


def read_answer(status: int, body: bytes) -> Renewed:
    """What a token endpoint answered (RFC 6749 §5.1, §5.2).

    Raises:
        RefreshRefusedError: the refresh token is not good.
        TokenEndpointError: it is no answer that can be used.
    """
    answer = _object(body)
    if status != httpx.codes.OK:
        error = answer.get("error")
        if status == httpx.codes.BAD_REQUEST and error in _REFUSALS:
            raise RefreshRefusedError
        raise TokenEndpointError(f"answered {status}")
    token, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise TokenEndpointError("answered without an access token that a request could carry")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenEndpointError("answered with a token that is not a bearer token")
    return Renewed(access_token=token, expires_in=_seconds(answer), refresh_token=_refresh_token(answer))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _seconds(answer: dict[str, Any]) -> int | None:
    value = answer.get("expires_in")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_LONGEST_LIFE)):
        value = int(value)  # some issuers write it so
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_LIFE:
        return None
    return int(value)


def _refresh_token(answer: dict[str, Any]) -> str | None:
    value = answer.get("refresh_token")
    if value is None:
        return None
    if not isinstance(value, str) or not _VSCHARS.fullmatch(value):
        raise TokenEndpointError("answered with a refresh token that is none (RFC 6749 A.17)")
    return value


def _basic(client_id: str, secret: bytes) -> str:
    """RFC 6749 §2.3.1: both are form-encoded first, unlike in other uses of Basic."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"
