"""Streams gathered by whose they are: several streams of one client are one node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from controlplane.xds.ledger import Client, EndedClient, Ledger
from controlplane.xds.messages import Node
from controlplane.xds.status import TypeStatus, merged
from controlplane.xds.subscription import Subscription


class Who(NamedTuple):
    """What tells one client from another: what it says it is called, its software, and where it connects from.

    Clients on one Unix socket that say the same of themselves can't be told apart.
    """

    node_id: str
    software: str
    """The name in its user agent, without the version."""
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One client. Times are seconds since the epoch."""

    node: Node
    group: str
    peer: str
    connected_at: float
    """Since when a stream of it has been open."""
    disconnected_at: float | None
    types: tuple[TypeStatus, ...]

    @property
    def synced(self) -> bool:
        """Whether it has everything that it should have."""
        return all(status.synced for status in self.types)


def who(client: Client | EndedClient) -> Who:
    """Whose stream this is."""
    return Who(client.node.id, software(client.node.user_agent), client.peer)


def software(user_agent: str) -> str:
    """What is told apart: an update does not make another node of it."""
    return user_agent.partition(" ")[0]


def streams_by_client(ledger: Ledger) -> dict[Who, list[Client]]:
    """The open streams of each client that is connected."""
    found: dict[Who, list[Client]] = {}
    for client in ledger.clients():
        found.setdefault(who(client), []).append(client)
    return found


def fingerprint(streams: Iterable[Client]) -> int:
    """Differs, most probably, when anything about a client has changed since; far cheaper than to look at it all."""
    return hash(
        tuple(
            (id(stream), stream.group, _progress(subscription))
            for stream in streams
            for subscription in stream.state.subscriptions.values()
        )
    )


def _progress(one: Subscription) -> tuple[object, ...]:
    progress, target = one.progress, one.target
    version = None if target is None else target.version
    return (version, progress.sent_at, progress.acked_at, progress.refused_at, one.outstanding is None, one.refused)


def connected(ledger: Ledger, streams: Iterable[Client]) -> Instance:
    """A client by its open streams, of which there is at least one."""
    ordered = sorted(streams, key=lambda one: one.connected_at)
    return Instance(
        node=ordered[0].node,
        group=ordered[-1].group,
        peer=ordered[0].peer,
        connected_at=ordered[0].connected_at,
        disconnected_at=None,
        types=merged(status for one in ordered for status in ledger.statuses(one)),
    )


def gone(ledger: Ledger) -> list[Instance]:
    """Clients none of whose streams is open any more; of each name and software the last."""
    here = {(one.node_id, one.software) for one in map(who, ledger.clients())}
    ended: dict[tuple[str, str], list[EndedClient]] = {}
    for stream in reversed(ledger.ended()):
        one = who(stream)
        if (one.node_id, one.software) not in here:
            last = ended.setdefault((one.node_id, one.software), [])
            if not last or last[0].peer == stream.peer:
                last.append(stream)
    return [_gone(streams) for streams in ended.values()]


def _gone(streams: list[EndedClient]) -> Instance:
    """A client by its streams that have ended, newest first."""
    last: dict[str, TypeStatus] = {}
    for stream in streams:
        for status in stream.types:
            last.setdefault(status.type_url, status)
    return Instance(
        node=streams[0].node,
        group=streams[0].group,
        peer=streams[0].peer,
        connected_at=min(stream.connected_at for stream in streams),
        disconnected_at=streams[0].disconnected_at,
        types=tuple(last.values()),
    )
