"""What each node group should have now. Usable by itself: it knows snapshots and names, and nothing of documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from controlplane.xds.snapshot import EMPTY, Resource, Snapshot

Watcher = Callable[[Snapshot | None], None]
"""Told at once, with the newest snapshot; has one slot and keeps no queue."""


class SnapshotCache:
    """One snapshot for each group, and those who want to hear of the next one."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._watchers: defaultdict[str, dict[object, Watcher]] = defaultdict(dict)

    def get(self, group: str, /) -> Snapshot | None:
        """What ``group`` should have; ``None`` when that is not known (yet)."""
        return self._snapshots.get(group)

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """From now on ``group`` should have ``snapshot``."""
        self._snapshots[group] = snapshot
        self._tell(group)

    def clear(self, group: str, /) -> None:
        """Forget the group: its nodes keep what they have and hear nothing more."""
        self._snapshots.pop(group, None)
        self._tell(group)

    def update(self, group: str, resource: Resource, /) -> None:
        """Add one resource, or put it in the place of the one of its name."""
        self.set(group, (self.get(group) or EMPTY).with_resource(resource))

    def remove(self, group: str, type_url: str, name: str, /) -> None:
        """Take one resource away."""
        self.set(group, (self.get(group) or EMPTY).without_resource(type_url, name))

    def watch(self, group: str, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` now and after each change; the function that is returned ends that."""
        key = object()
        self._watchers[group][key] = watcher
        watcher(self.get(group))

        def end() -> None:
            self._watchers[group].pop(key, None)
            if not self._watchers[group]:
                del self._watchers[group]

        return end

    def watching(self, group: str, /) -> int:
        """How many watch ``group``."""
        return len(self._watchers.get(group, {}))

    def _tell(self, group: str) -> None:
        snapshot = self.get(group)
        for key, watcher in tuple(self._watchers.get(group, {}).items()):
            if key in self._watchers.get(group, {}):
                watcher(snapshot)
