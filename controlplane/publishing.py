"""Shows what is kept in the store, and changes while the gateway runs, to the services: in parts, beside releases."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

import structlog

from controlplane.store.errors import StoreError
from controlplane.xds.snapshot import Resource, Snapshot, encode_bytes
from servicekit.contracts import Contract
from servicekit.contracts.parts import part_of
from servicekit.xds import INDEX

_PAGE: Final = 1_000
_ENCODED_AT_ONCE: Final = 8
"""Parts, before others get their turn."""
_PAUSE: Final = 0.5
"""Seconds between attempts at a store that is away."""

_log = structlog.get_logger(__name__)


class Stored(Protocol):
    """One thing, as the store has it."""

    @property
    def id(self) -> str:
        """By which it stays the same thing."""
        ...

    @property
    def change(self) -> int:
        """The number of its last change, among all things of its kind."""
        ...


R = TypeVar("R", bound=Stored)
R_co = TypeVar("R_co", bound=Stored, covariant=True)
S = TypeVar("S")


class Changing(Protocol[R_co]):
    """Where the things are. What is read may raise :class:`StoreError`."""

    async def changed_since(self, change: int, limit: int) -> tuple[R_co, ...]:
        """At most ``limit`` things as they are now, whose last change is after ``change``, in the order of changes."""
        ...

    def changes(self) -> AsyncIterator[int]:
        """The number of the last change: now, and again whenever there are others, in whichever replica."""
        ...


class Cache(Protocol):
    """Where services take them from."""

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """Let ``group`` have ``snapshot``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[R, S]):
    """What is published: ``R`` is how the store has it, ``S`` how services get it."""

    what: str
    """For people, in the plural."""
    contract: type[Contract]
    sent: Callable[[R, datetime], S | None]
    """As services get it; ``None`` where they should know of it no longer."""
    part: Callable[[tuple[S, ...]], Contract]
    index: Callable[[tuple[str, ...]], Contract]


class Publisher(Generic[R, S]):
    """Shows every change, made in whichever replica, to the services; nothing before it knows all.

    Args:
        group: what the services are in that get it.
        clock: the time, in UTC.
    """

    def __init__(
        self, kind: Kind[R, S], *, store: Changing[R], cache: Cache, group: str, clock: Callable[[], datetime]
    ) -> None:
        self._kind = kind
        self._store = store
        self._cache = cache
        self._group = group
        self._clock = clock
        self._known = -1
        """The last change that was read."""
        self._parts: defaultdict[str, dict[str, S]] = defaultdict(dict)
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
            while stored := await self._store.changed_since(self._known, _PAGE):
                touched |= {self._take(one) for one in stored}
                self._known = stored[-1].change
        except StoreError as error:
            _log.warning(f"changes of {self._kind.what} can't be read; asking until they can", reason=str(error))
            self._known = -1  # what was read is not shown yet: begin anew
            return False
        if touched or not self._resources:
            await self._show(touched)
        return True

    def _take(self, one: R) -> str:
        name, sent = part_of(one.id), self._kind.sent(one, self._clock())
        if sent is None:
            self._parts[name].pop(one.id, None)
        else:
            self._parts[name][one.id] = sent
        return name

    async def _show(self, touched: Collection[str]) -> None:
        for count, name in enumerate(sorted(touched)):
            if count % _ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)
            self._encode(name)
        index = self._kind.index(tuple(sorted(name for name in self._resources if name != INDEX)))
        self._resources[INDEX] = self._encoded(INDEX, index)
        self._cache.set(self._group, Snapshot.of(self._resources.values()))
        count = sum(map(len, self._parts.values()))
        _log.info("shown to the services", what=self._kind.what, changed=len(touched), count=count)

    def _encode(self, name: str) -> None:
        things = _sorted(self._parts[name])
        if things:
            self._resources[name] = self._encoded(name, self._kind.part(things))
        else:
            self._resources.pop(name, None)

    def _encoded(self, name: str, part: Contract) -> Resource:
        return encode_bytes(name, self._kind.contract.TYPE_URL, part.encode())


def _sorted(things: Mapping[str, S]) -> tuple[S, ...]:
    """Equal things make equal bytes, in whichever order they came."""
    return tuple(things[one] for one in sorted(things))
