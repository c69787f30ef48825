"""The public keys of one issuer: fetched with a deadline, kept for a time, asked for again when a key is unknown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import structlog

from controlplane.admin.security.identity import Unprovable

_log = structlog.get_logger(__name__)

FRESH_SECONDS = 600.0
"""Age at which keys are fetched again."""
STALE_SECONDS = 3600.0
"""How long keys count that can't be fetched again."""
COOL_DOWN_SECONDS = 15.0
"""Between two fetches, whatever tokens ask for."""
DEADLINE_SECONDS = 5.0
LARGEST_SET = 256 * 1024
MOST_KEYS = 100

Fetch = Callable[[], Awaitable[bytes]]


class KeysUnavailableError(Exception):
    """The issuer's keys could not be had."""


@dataclass(slots=True)
class _Keys:
    by_kid: Mapping[str | None, tuple[jwt.PyJWK, ...]]
    fetched_at: float


class IssuerKeys:
    """The keys of one issuer.

    Args:
        fetch: gets the JWK Set (RFC 7517 §5).
        clock: seconds that only grow.
    """

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: _Keys | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def candidates(self, kid: str | None) -> tuple[jwt.PyJWK, ...]:
        """The keys that may have signed a token which names ``kid``; all, when it names none.

        Raises:
            Unprovable: there are no keys now.
        """
        if self._wants(kid):
            async with self._lock:
                if self._wants(kid):
                    await self._refresh()
        keys = self._keys
        if keys is None or self._clock() - keys.fetched_at > FRESH_SECONDS + STALE_SECONDS:
            raise Unprovable("the keys of the OpenID Connect issuer can't be had now")
        if kid is None:
            return tuple(key for some in keys.by_kid.values() for key in some)
        return keys.by_kid.get(kid, ())

    def _wants(self, kid: str | None) -> bool:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < COOL_DOWN_SECONDS:
            return False
        keys = self._keys
        return keys is None or now - keys.fetched_at > FRESH_SECONDS or (kid is not None and kid not in keys.by_kid)

    async def _refresh(self) -> None:
        self._tried_at = self._clock()
        try:
            self._keys = _Keys(read_keys(await self._fetch()), self._clock())
        except KeysUnavailableError as error:
            _log.warning("the keys of the OpenID Connect issuer can't be had", reason=str(error))


def read_keys(document: bytes) -> Mapping[str | None, tuple[jwt.PyJWK, ...]]:
    """The usable public keys of a JWK Set by their ``kid``.

    Raises:
        KeysUnavailableError: it is no JWK Set.
    """
    try:
        entries = json.loads(document)["keys"]
        if not isinstance(entries, list) or len(entries) > MOST_KEYS:
            raise KeysUnavailableError("the answer is no JWK Set of bearable size")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeysUnavailableError("the answer is no JWK Set") from error
    found: dict[str | None, tuple[jwt.PyJWK, ...]] = {}
    for entry in entries:
        key = _public_key(entry)
        if key is not None:
            found[key.key_id] = (*found.get(key.key_id, ()), key)
    return found


def _public_key(entry: Any) -> jwt.PyJWK | None:
    """The key, or ``None`` for one that can't check signatures here: it is ignored (RFC 7517 §5)."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry or entry.get("kty") == "oct":
        return None
    if not isinstance(entry.get("kid", ""), str):
        return None
    try:
        return jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None


def http_fetch(client: httpx.AsyncClient, uri: str) -> Fetch:
    """Fetches ``uri`` within a deadline, without redirects, and no more than a key set may have."""

    async def fetch() -> bytes:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await _get(client, uri)
        except TimeoutError as error:
            raise KeysUnavailableError(f"no answer within {DEADLINE_SECONDS:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise KeysUnavailableError(f"{type(error).__name__}: {error}") from error

    return fetch


async def _get(client: httpx.AsyncClient, uri: str) -> bytes:
    # Nothing compressed: a small answer must not become a large one here.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    async with client.stream("GET", uri, headers=headers, follow_redirects=False) as response:
        if response.status_code != httpx.codes.OK:
            raise KeysUnavailableError(f"the issuer answered {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise KeysUnavailableError("the answer is compressed, which was not asked for")
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_SET:
                raise KeysUnavailableError(f"the answer has more than {LARGEST_SET} bytes")
    return body
