"""API keys that are made while the gateway runs: how one comes to be, and how every ext_authz gets to know them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from controlplane.store.api_keys import ApiKey, ApiKeyStore
from controlplane.store.errors import StoreError
from controlplane.xds.snapshot import Resource, Snapshot, encode_bytes
from servicekit.contracts import ApiKeys, ManagedKey
from servicekit.contracts.api_keys import API_KEY_TEXT, key_digest, part_of
from servicekit.credential_text import Credential
from servicekit.xds import INDEX

_PAGE: Final = 1_000
_ENCODED_AT_ONCE: Final = 8
"""Parts, before others get their turn."""
_PAUSE: Final = 0.5
"""Seconds between attempts at a store that is away."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaker:
    """Makes keys, and other secrets for them."""

    secret: bytes = field(repr=False)
    """What keys are hashed with."""

    def make(self, now: datetime, **members: Any) -> tuple[ApiKey, str]:
        """A new key with the ``members`` of :class:`ApiKey` that people choose, and what its bearer sends."""
        made = API_KEY_TEXT.make()
        key = ApiKey(
            id=made.id,
            digest=self._digest(made),
            previous_digest="",
            previous_until=None,
            created_at=now,
            rotated_at=None,
            revoked_at=None,
            change=0,
            **members,
        )
        return key, API_KEY_TEXT.write(made)

    def rotate(self, key: ApiKey, now: datetime, overlap: timedelta) -> tuple[ApiKey, str]:
        """``key`` with another secret, and what its bearer sends from now on; the one before is good for ``overlap``.

        One that was before that is not good any more: two are, at most.
        """
        made = API_KEY_TEXT.make(key.id)
        rotated = replace(
            key,
            digest=self._digest(made),
            previous_digest=key.digest if overlap else "",
            previous_until=now + overlap if overlap else None,
            rotated_at=now,
        )
        return rotated, API_KEY_TEXT.write(made)

    def _digest(self, made: Credential) -> str:
        return key_digest(self.secret, made)


class Cache(Protocol):
    """Where services take the keys from."""

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """Let ``group`` have ``snapshot``."""


class KeyPublisher:
    """Shows every change of a key, in whichever replica, to the services; nothing before it knows all keys.

    Args:
        group: what the services are in that get them.
        clock: the time, in UTC.
    """

    def __init__(self, *, store: ApiKeyStore, cache: Cache, group: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._cache = cache
        self._group = group
        self._clock = clock
        self._known = -1
        """The last change that was read."""
        self._parts: defaultdict[str, dict[str, ManagedKey]] = defaultdict(dict)
        self._resources: dict[str, Resource] = {}

    async def run(self) -> None:
        """Follow the changes for ever."""
        async for _ in self._store.changes():
            while True:
                if await self._catch_up():
                    break
                await asyncio.sleep(_PAUSE)

    async def _catch_up(self) -> bool:
        """Read what has changed, and show it; whether the store could."""
        touched: set[str] = set()
        try:
            while keys := await self._store.changed_since(self._known, _PAGE):
                touched |= {self._take(key) for key in keys}
                self._known = keys[-1].change
        except StoreError as error:
            _log.warning("changes of API keys can't be read; asking until they can", reason=str(error))
            self._known = -1  # what was read is not shown yet: begin anew
            return False
        if touched or not self._resources:
            await self._show(touched)
        return True

    def _take(self, key: ApiKey) -> str:
        name, now = part_of(key.id), self._clock()
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            self._parts[name].pop(key.id, None)
        else:
            self._parts[name][key.id] = _sent(key)
        return name

    async def _show(self, touched: Collection[str]) -> None:
        for count, name in enumerate(sorted(touched)):
            if count % _ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)
            self._encode(name)
        index = ApiKeys(parts=tuple(sorted(name for name in self._resources if name != INDEX)))
        self._resources[INDEX] = encode_bytes(INDEX, ApiKeys.TYPE_URL, index.encode())
        self._cache.set(self._group, Snapshot.of(self._resources.values()))
        _log.info("API keys are shown", changed=len(touched), keys=sum(map(len, self._parts.values())))

    def _encode(self, name: str) -> None:
        keys = _sorted(self._parts[name])
        if keys:
            self._resources[name] = encode_bytes(name, ApiKeys.TYPE_URL, ApiKeys(keys=keys).encode())
        else:
            self._resources.pop(name, None)


def _sorted(keys: Mapping[str, ManagedKey]) -> tuple[ManagedKey, ...]:
    """Equal keys make equal bytes, in whichever order they came."""
    return tuple(keys[key_id] for key_id in sorted(keys))


def _sent(key: ApiKey) -> ManagedKey:
    return ManagedKey(
        id=key.id,
        provider=key.provider,
        digest=key.digest,
        previous_digest=key.previous_digest,
        previous_until=_seconds(key.previous_until),
        owner=key.owner,
        tier=key.tier,
        scopes=key.scopes,
        expires_at=_seconds(key.expires_at),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
