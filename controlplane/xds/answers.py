"""What the connected nodes of each group say to what they should have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from controlplane.xds import types
from controlplane.xds.messages import Node
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import StreamState
from controlplane.xds.subscription import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One node that refuses something of one type."""

    node: str
    type_url: str
    resources: tuple[str, ...] | None
    """Names of what stood in the responses that it refused; ``None`` when that was everything there is of the type."""
    words: str

    @property
    def blamed(self) -> tuple[str, ...]:
        """Those that its words mention; all, where they mention none."""
        found = self.resources or ()
        return tuple(name for name in found if name in self.words) or found


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one group says."""

    nodes: frozenset[str] = frozenset()
    """Ids of those connected."""
    waiting: tuple[str, ...] = ()
    """Ids of those that have not answered for everything that they take. Who refuses something has answered."""
    refusals: tuple[Refusal, ...] = ()


class Connected(Protocol):
    """One stream of one client."""

    @property
    def node(self) -> Node:
        """Whose it is."""

    @property
    def group(self) -> str:
        """Which group's snapshot it should have."""

    @property
    def state(self) -> StreamState:
        """What it asked for and has."""


@dataclass(slots=True)
class _Book:
    nodes: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)


def answers(clients: Iterable[Connected], snapshots: Mapping[str, Snapshot]) -> dict[str, Answers]:
    """What the clients of each group say to the group's snapshot, in one pass."""
    books = {group: _Book() for group in snapshots}
    for client in clients:
        book = books.get(client.group)
        if book is not None:
            _note(book, client, snapshots[client.group])
    return {
        group: Answers(
            nodes=frozenset(book.nodes),
            waiting=tuple(sorted(book.waiting - {refusal.node for refusal in book.refusals})),
            refusals=tuple(book.refusals),
        )
        for group, book in books.items()
    }


def _note(book: _Book, client: Connected, snapshot: Snapshot) -> None:
    book.nodes.add(client.node.id)
    for type_url, subscription in client.state.subscriptions.items():
        if subscription.refused:
            book.refusals.append(_refusal(client.node.id, subscription))
        elif _is_told(type_url, subscription, snapshot) and not _has(subscription, snapshot):
            book.waiting.add(client.node.id)


def _refusal(node: str, subscription: Subscription) -> Refusal:
    return Refusal(
        node=node,
        type_url=subscription.type_url,
        resources=subscription.refused_names,
        words=subscription.progress.error,
    )


def _is_told(type_url: str, subscription: Subscription, snapshot: Snapshot) -> bool:
    """Whether there is ever anything to say: of types that nobody has heard of there is not."""
    heard_of = type_url in types.KNOWN or type_url in snapshot.resources
    return subscription.target is not None or (heard_of and type_url not in types.DELTA_ONLY)


def _has(subscription: Subscription, snapshot: Snapshot) -> bool:
    target = subscription.target
    if target is None or not subscription.synced:
        return False
    # Who is not trusted with secrets should have none, whatever the snapshot has.
    return subscription.type_url == types.SECRET or target.version == snapshot.version(subscription.type_url)
