"""What the rollout needs of others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from controlplane.model import Canary, NodeGroup
from controlplane.xds.answers import Answers
from controlplane.xds.load_book import Load
from controlplane.xds.snapshot import Snapshot


class Cache(Protocol):
    """Where nodes take their snapshot from."""

    def get(self, group: str, /) -> Snapshot | None:
        """What ``group`` should have; ``None`` before the first snapshot."""

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """Let ``group`` have ``snapshot``."""

    def clear(self, group: str, /) -> None:
        """Forget the group."""


class Ledger(Protocol):
    """Who has what."""

    @property
    def next_change(self) -> asyncio.Event:
        """Set when anything changes the next time."""

    def answers(self, snapshots: Mapping[str, Snapshot], /) -> Mapping[str, Answers]:
        """What the connected clients of each group say to its snapshot."""


class Placement(Protocol):
    """Which group a node is in."""

    def assign(self, groups: Sequence[NodeGroup], /) -> None:
        """From now on nodes belong to ``groups``."""

    def split(self, canary: Canary | None, /) -> None:
        """Set the nodes that ``canary`` picks apart, or nobody."""


class Loads(Protocol):
    """How the nodes' requests end."""

    def watch(self, seconds: float, /) -> float:
        """Have every node report from now on; the time now, by the book's clock."""

    def ignore(self) -> None:
        """Nobody watches any more."""

    def since(self, moment: float, nodes: Iterable[str], /) -> Load:
        """What ``nodes`` reported of the time since ``moment``."""


class Events(Protocol):
    """Who tells the world."""

    def publish(self, kind: str, **data: Any) -> None:
        """Something happened."""
