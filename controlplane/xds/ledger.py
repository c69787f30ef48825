"""Who is connected, and what each has asked for, been sent, acknowledged and refused."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from controlplane.xds.answers import Answers, answers
from controlplane.xds.messages import Node
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.status import TypeStatus, status_of
from controlplane.xds.stream import StreamState
from controlplane.xds.subscription import Subscription

REMEMBERED = 1000
"""Streams that have ended which are still shown."""


@dataclass(slots=True, kw_only=True)
class Client:
    """One stream of one client."""

    node: Node
    group: str
    peer: str
    connected_at: float
    """Seconds since the epoch, as all times here."""
    state: StreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedClient:
    """One stream that is over: what it had at its end."""

    node: Node
    group: str
    peer: str
    connected_at: float
    disconnected_at: float
    types: tuple[TypeStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a wait for ACKs ended."""

    waiting: tuple[str, ...] = ()
    """Ids of the nodes that have not answered yet."""
    refused: dict[str, str] = field(default_factory=dict)
    """Ids of the nodes that refuse, and their words."""

    @property
    def complete(self) -> bool:
        """Whether every connected client has ACKed."""
        return not self.waiting and not self.refused


class Ledger:
    """The book of all streams of one server.

    Args:
        clock: seconds since the epoch.
        stream_clock: the clock of the streams' own times.
    """

    def __init__(self, *, clock: Callable[[], float], stream_clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stream_clock = stream_clock
        self._connected: dict[int, Client] = {}
        self._ended: deque[EndedClient] = deque(maxlen=REMEMBERED)
        self._changed = asyncio.Event()

    def connected(self, client: Client) -> None:
        """A stream has said who it is."""
        self._connected[id(client)] = client
        self.touched()

    def disconnected(self, client: Client) -> None:
        """A stream has ended."""
        if self._connected.pop(id(client), None) is not None:
            self._ended.append(self._end_of(client))
        self.touched()

    def touched(self) -> None:
        """Something was sent or answered: whoever waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def next_change(self) -> asyncio.Event:
        """Set when something is sent or answered the next time, or somebody comes or goes."""
        return self._changed

    def answers(self, snapshots: Mapping[str, Snapshot]) -> dict[str, Answers]:
        """What the connected clients of each group say to its snapshot."""
        return answers(self._connected.values(), snapshots)

    def clients(self) -> list[Client]:
        """Those connected now."""
        return list(self._connected.values())

    def ended(self) -> list[EndedClient]:
        """The last ones that have gone, oldest first."""
        return list(self._ended)

    def statuses(self, client: Client) -> tuple[TypeStatus, ...]:
        """What a connected client has of each type, in the order in which it asked."""
        offset = self.epoch_offset
        return tuple(status_of(s, to_epoch=lambda at: at + offset) for s in client.state.subscriptions.values())

    @property
    def epoch_offset(self) -> float:
        """What makes seconds since the epoch of a time of the streams' clock."""
        return self._clock() - self._stream_clock()

    def _end_of(self, client: Client) -> EndedClient:
        return EndedClient(
            node=client.node,
            group=client.group,
            peer=client.peer,
            connected_at=client.connected_at,
            disconnected_at=self._clock(),
            types=self.statuses(client),
        )

    async def wait_acked(
        self, group: str, snapshot: Snapshot, type_urls: tuple[str, ...], seconds: float, /
    ) -> Outcome:
        """Wait until each connected client of ``group`` has answered for the types that it takes, or for ``seconds``.

        A client has answered when it holds the version of ``snapshot`` for its types, or refuses it.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            changed = self._changed
            outcome = self._outcome(group, snapshot, type_urls)
            if not outcome.waiting:
                return outcome
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return self._outcome(group, snapshot, type_urls)

    def _outcome(self, group: str, snapshot: Snapshot, type_urls: tuple[str, ...]) -> Outcome:
        waiting: list[str] = []
        refused: dict[str, str] = {}
        for client, subscription in self._takers(group, type_urls):
            if subscription.refused:
                refused[client.node.id] = subscription.progress.error
            elif not _has(subscription, snapshot):
                waiting.append(client.node.id)
        return Outcome(waiting=tuple(waiting), refused=refused)

    def _takers(self, group: str, type_urls: tuple[str, ...]) -> Iterator[tuple[Client, Subscription]]:
        for client in self._connected.values():
            if client.group == group:
                subscriptions = client.state.subscriptions
                yield from ((client, subscriptions[url]) for url in type_urls if url in subscriptions)


def _has(subscription: Subscription, snapshot: Snapshot) -> bool:
    target = subscription.target
    return target is not None and target.version == snapshot.version(subscription.type_url) and subscription.synced
