"""One exchange for each refresh token over all replicas: who comes first leaves the outcome in Redis for the others.

What is left is sealed with a key that is made from the refresh token itself: who reads Redis can't read it, and who has
the refresh token could have asked the issuer. Without Redis every replica asks for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from typing import Any, Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from redis.exceptions import RedisError

from ext_authz.exchanges import KEPT_SECONDS
from ext_authz.issuer_client import DEADLINE, IssuerEndpoint, IssuerError
from ext_authz.token_endpoint import ExchangeTokens, RefreshRefusedError, Renewed
from servicekit.redis_client import CONNECTIONS

PAUSE: Final = 0.05
"""Seconds between two looks for the outcome of another replica."""
CALL_DEADLINE: Final = 0.25
"""Seconds for each call to Redis: beyond it this replica asks the issuer itself."""
_RUNNING: Final = b""
_NONCE_OCTETS: Final = 12

_log = structlog.get_logger(__name__)


class SharedExchanges:
    """An :class:`ExchangeTokens` that asks ``inner`` where no other replica does. ``client`` is of redis-py."""

    def __init__(self, *, inner: ExchangeTokens, client: Any) -> None:
        self._inner = inner
        self._client = client
        self._connections = asyncio.Semaphore(CONNECTIONS)

    async def exchange(self, endpoint: IssuerEndpoint, refresh_token: str) -> Renewed:
        """See :meth:`ExchangeTokens.exchange`."""
        name = _name(endpoint, refresh_token)
        try:
            left = await self._outcome_or_turn(name)
        except TimeoutError:
            # To ask as well would be the second use that the issuer takes for theft.
            raise IssuerError("another replica asks, and is not done in time") from None
        except (RedisError, OSError) as error:
            _log.warning("replicas can't tell each other of renewed tokens", error=type(error).__name__)
            return await self._inner.exchange(endpoint, refresh_token)
        if left is not None:
            return _opened(left, refresh_token)
        return await self._exchange_first(name, endpoint, refresh_token)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _outcome_or_turn(self, name: str) -> bytes | None:
        """What another replica left; ``None`` when it is this one's turn to ask.

        Raises:
            TimeoutError: another one asks, and is not done in time.
        """
        async with asyncio.timeout(DEADLINE):
            while True:
                # Longer than an exchange may take: a replica that dies amid one blocks its token so long.
                if await self._call("set", name, _RUNNING, nx=True, px=int((DEADLINE + 1) * 1000)):
                    return None
                left: bytes | None = await self._call("get", name)
                if left:
                    return left
                await asyncio.sleep(PAUSE)

    async def _exchange_first(self, name: str, endpoint: IssuerEndpoint, refresh_token: str) -> Renewed:
        try:
            renewed = await self._inner.exchange(endpoint, refresh_token)
        except RefreshRefusedError:
            await self._leave(name, _sealed(None, refresh_token))
            raise
        except BaseException:
            await self._leave(name, None)
            raise
        await self._leave(name, _sealed(renewed, refresh_token))
        return renewed

    async def _call(self, command: str, *arguments: Any, **options: Any) -> Any:
        async with self._connections:
            return await getattr(self._client, command)(*arguments, **options)

    async def _leave(self, name: str, sealed: bytes | None) -> None:
        try:
            if sealed is None:
                await self._call("delete", name)
            else:
                await self._call("set", name, sealed, px=int(KEPT_SECONDS * 1000))
        except (RedisError, OSError) as error:
            _log.warning("replicas can't tell each other of renewed tokens", error=type(error).__name__)


def _name(endpoint: IssuerEndpoint, refresh_token: str) -> str:
    text = "\0".join((endpoint.uri, endpoint.client_id, refresh_token))
    return f"gateway:refresh:{hashlib.sha256(text.encode()).hexdigest()}"


def _cipher(refresh_token: str) -> AESGCM:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"gateway token refresh").derive(refresh_token.encode())
    return AESGCM(made)


def _sealed(renewed: Renewed | None, refresh_token: str) -> bytes:
    members = None if renewed is None else [renewed.access_token, renewed.expires_in, renewed.refresh_token]
    nonce = secrets.token_bytes(_NONCE_OCTETS)
    return nonce + _cipher(refresh_token).encrypt(nonce, json.dumps(members).encode(), None)


def _opened(sealed: bytes, refresh_token: str) -> Renewed:
    try:
        text = _cipher(refresh_token).decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], None)
        members = json.loads(text)
    except (InvalidTag, ValueError):
        raise IssuerError("what another replica left can't be read") from None
    if members is None:
        raise RefreshRefusedError
    access_token, expires_in, other = members
    return Renewed(access_token=access_token, expires_in=expires_in, refresh_token=other)
