"""Exchanges refresh tokens at an issuer's token endpoint (RFC 6749 §6)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx

from ext_authz.credentials import TOKEN
from ext_authz.issuer_client import IssuerClient, IssuerEndpoint, IssuerError
from ext_authz.jose import strict_object

_TOKEN: Final = re.compile(TOKEN)
_VSCHARS: Final = re.compile(r"[\x20-\x7e]+")
_LONGEST_LIFE: Final = 10 * 365 * 86_400


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


class ExchangeTokens(Protocol):
    """The port: how a refresh token becomes new tokens."""

    async def exchange(self, endpoint: IssuerEndpoint, refresh_token: str) -> Renewed:
        """New tokens.

        Raises:
            RefreshRefusedError: the issuer says that this one is not good.
            IssuerError: anything else.
        """
        ...


class HttpTokenEndpoints:
    """:class:`ExchangeTokens` by an :class:`IssuerClient`."""

    def __init__(self, client: IssuerClient) -> None:
        self._client = client

    async def exchange(self, endpoint: IssuerEndpoint, refresh_token: str) -> Renewed:
        """See :meth:`ExchangeTokens.exchange`."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return read_answer(*await self._client.post(endpoint, form))


def read_answer(status: int, body: bytes) -> Renewed:
    """What a token endpoint answered (RFC 6749 §5.1, §5.2).

    Raises:
        RefreshRefusedError: the refresh token is not good.
        IssuerError: it is no answer that can be used.
    """
    answer = strict_object(body) or {}
    if status != httpx.codes.OK:
        # All other errors (RFC 6749 §5.2) are the gateway's fault, or the issuer's.
        if status == httpx.codes.BAD_REQUEST and answer.get("error") == "invalid_grant":
            raise RefreshRefusedError
        raise IssuerError(f"answered {status}")
    token, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise IssuerError("answered without an access token that a request could carry")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise IssuerError("answered with a token that is not a bearer token")
    return Renewed(access_token=token, expires_in=_seconds(answer), refresh_token=_refresh_token(answer))


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
        raise IssuerError("answered with a refresh token that is none (RFC 6749 A.17)")
    return value
