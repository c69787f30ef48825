"""Who is connected, who was, and what each has: of this replica, of the others, and from before a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from controlplane.node_views import NodeView, key_of, record_of, view_of, view_of_record
from controlplane.store.errors import StoreError
from controlplane.store.nodes import NodeStore
from controlplane.xds.instances import Instance, connected, fingerprint, gone, streams_by_client
from controlplane.xds.ledger import Client, Ledger

__all__ = ["NodeBook", "NodeView"]

WRITE_EVERY: Final = 3.0
"""Seconds between two looks at what has changed."""

SEEN_EVERY: Final = timedelta(seconds=30)
"""How often a node that is connected is written although nothing about it has changed."""

DEAD_AFTER: Final = 3 * SEEN_EVERY
"""A node that its replica has not written for so long is not connected any more: the replica has died. The clocks of
replicas may differ by two thirds of that."""

KEPT: Final = timedelta(days=14)
"""How long a node that has gone is remembered."""

MOST: Final = 20_000
"""Nodes that are read of all replicas together."""

_READ_EVERY = timedelta(seconds=1)
_FORGET_EVERY = timedelta(minutes=10)
_AT_ONCE = 100
"""Nodes that are looked at before others get their turn."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Source:
    """One node of this replica: its open streams, or what is left of it."""

    key: str
    streams: tuple[Client, ...]
    left: Instance | None

    @property
    def mark(self) -> float:
        """Is another one when there is something to write."""
        return fingerprint(self.streams) if self.left is None else self.left.disconnected_at or 0.0


@dataclass(frozen=True, slots=True)
class _Written:
    mark: float
    at: datetime


class NodeBook:
    """Answers for all replicas, and writes down what this one knows; never on a stream's way.

    Two nodes that say they are called the same, with the same software, are shown apart as long as both are connected
    to this replica. Elsewhere and later there is only the one that connected last.

    Args:
        ledger: this replica's streams.
        store: what replicas share and what survives them; ``None`` is this replica alone, until it ends.
        replica: the name of this one.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: NodeStore | None,
        replica: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._replica = replica
        self._clock = clock
        self._written: dict[str, _Written] = {}
        self._stored: tuple[NodeView, ...] = ()
        self._read_at: datetime | None = None
        self._forgot_at: datetime | None = None
        self._is_away = False

    async def run(self) -> None:
        """Write what has changed, every few seconds, for ever."""
        while True:
            await self.write()
            await asyncio.sleep(WRITE_EVERY)

    async def nodes(self) -> tuple[NodeView, ...]:
        """Everyone, by id. While the store is away, what was last known of the nodes of others."""
        await self._read()
        here = [self._view(source) async for source in self._here()]
        connected_here = [view for view in here if view.disconnected_at is None]
        known = {view.key for view in connected_here}
        others: dict[str, NodeView] = {}
        for view in (*self._stored, *(view for view in here if view.disconnected_at is not None)):
            if view.key not in known:
                others[view.key] = max(others.get(view.key, view), view, key=lambda one: one.standing)
        return tuple(
            sorted((*connected_here, *others.values()), key=lambda view: (view.id, view.user_agent, view.peer))
        )

    async def node(self, node_id: str) -> tuple[NodeView, ...]:
        """Who says that it is called so: those that are connected first, then the one last seen."""
        found = [view for view in await self.nodes() if view.id == node_id]
        return tuple(sorted(found, key=lambda view: view.standing, reverse=True))

    async def write(self) -> None:
        """Write what has changed since the last time, and now and then that nothing has."""
        if self._store is None:
            return
        now = self._clock()
        written: dict[str, _Written] = {}
        news: dict[str, NodeView] = {}
        for source in {source.key: source async for source in self._here()}.values():
            mark, held = source.mark, self._written.get(source.key)
            if held is None or held.mark != mark or (source.left is None and now - held.at >= SEEN_EVERY):
                news[source.key] = self._view(source)
                held = _Written(mark, now)
            written[source.key] = held
        if await self._save(self._store, news, now):
            self._written = written

    async def _save(self, store: NodeStore, news: dict[str, NodeView], now: datetime) -> bool:
        try:
            if news:
                await store.save([record_of(view) for view in news.values()])
            if self._forgot_at is None or now - self._forgot_at > _FORGET_EVERY:
                await store.forget(now - KEPT)
                self._forgot_at = now
        except StoreError as error:
            self._note_away(error)
            return False
        self._note_back()
        return True

    async def _read(self) -> None:
        now = self._clock()
        if self._store is None or (self._read_at is not None and now - self._read_at < _READ_EVERY):
            return
        try:
            records = await self._store.load(MOST)
        except StoreError as error:
            self._note_away(error)
            return
        self._read_at = now
        self._stored = tuple(view_of_record(record, now=now, dead_after=DEAD_AFTER) for record in records)

    async def _here(self) -> AsyncIterator[_Source]:
        """This replica's nodes; of those with one key the one that connected last comes last."""
        clients = streams_by_client(self._ledger).values()
        ordered = sorted(clients, key=lambda streams: min(one.connected_at for one in streams))
        for count, streams in enumerate(ordered):
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            yield _Source(key_of(streams[0].node.id, streams[0].node.user_agent), tuple(streams), None)
        for left in gone(self._ledger):
            yield _Source(key_of(left.node.id, left.node.user_agent), (), left)

    def _view(self, source: _Source) -> NodeView:
        instance = source.left or connected(self._ledger, source.streams)
        return view_of(instance, replica=self._replica, now=self._clock())

    def _note_away(self, error: StoreError) -> None:
        if not self._is_away:
            _log.warning("the node book can't be kept; nodes are shown from memory", reason=str(error))
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            _log.info("the node book is kept again")
        self._is_away = False
