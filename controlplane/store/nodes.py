"""The port of the node book: who was connected, to which replica, and what they had, kept over a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """What one replica knows of one node. Times are by that replica's clock, in UTC."""

    id: str
    replica: str
    """The control plane that it is, or was last, connected to."""
    service: str
    """What it says it is (its user agent)."""
    group: str
    peer: str
    """The address it came from."""
    connected_at: datetime
    disconnected_at: datetime | None
    last_seen: datetime
    types: Mapping[str, Any]
    """By type URL, what it has; JSON."""


class NodeStore(Protocol):
    """Keeps the last record of each node. Every method raises :class:`StoreError` when it can't."""

    async def save(self, records: Iterable[NodeRecord]) -> None:
        """Write what is new about these nodes; of two records with one id, the later counts.

        That a node is gone is not believed from a replica that it has left for another one. The longest gone are
        removed when there are too many.
        """
        ...

    async def load(self, limit: int = 1000) -> tuple[NodeRecord, ...]:
        """At most ``limit`` (1 to 20,000) nodes: the connected first, then those last seen first."""
        ...

    async def forget(self, before: datetime) -> int:
        """Delete the nodes that were last seen before this, and say how many these were.

        Connected ones too, because a replica that died says nothing of its nodes any more: a record has to be saved
        again now and then for as long as its node is connected.
        """
        ...
