"""A snapshot cache that fills in what was discovered: the endpoints of a snapshot change without another snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.translate import names
from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.snapshot import Resource, Snapshot


class DiscoveringCache:
    """Stands before ``cache``: what a rollout sets has an empty place for endpoints that are listed elsewhere.

    While nothing is known of a list there is no resource in its place: Envoy then keeps the endpoints that it has from
    an earlier control plane, and takes a new cluster into service without any.
    """

    def __init__(self, cache: SnapshotCache) -> None:
        self._cache = cache
        self._written: dict[str, Snapshot] = {}
        self._found: dict[str, Resource] = {}

    def get(self, group: str, /) -> Snapshot | None:
        """What ``group`` is shown, endpoints filled in."""
        return self._cache.get(group)

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """From now on ``group`` should have ``snapshot``, with the endpoints that are known now and from now on."""
        if self._written.get(group) is not snapshot:
            self._written[group] = snapshot
            self._cache.set(group, self._filled(snapshot))

    def clear(self, group: str, /) -> None:
        """Forget the group."""
        self._written.pop(group, None)
        self._cache.clear(group)

    def learn(self, found: Iterable[Resource]) -> None:
        """From now on these are the endpoints of their names, in every group that has a place for them."""
        news = {one.name: one for one in found if self._found.get(one.name) != one}
        self._found.update(news)
        for group, snapshot in self._written.items():
            if news.keys() & snapshot.of_type(types.CLUSTER_LOAD_ASSIGNMENT).keys():
                self._cache.set(group, self._filled(snapshot))

    def forget(self, assignments: Iterable[str]) -> None:
        """These names have no place in any group any more."""
        for name in assignments:
            self._found.pop(name, None)

    def wanted(self) -> frozenset[str]:
        """Names of the places that groups have."""
        return frozenset(
            name
            for snapshot in self._written.values()
            for name in snapshot.of_type(types.CLUSTER_LOAD_ASSIGNMENT)
            if names.is_discovered(name)
        )

    def _filled(self, snapshot: Snapshot) -> Snapshot:
        written = snapshot.of_type(types.CLUSTER_LOAD_ASSIGNMENT)
        if not any(map(names.is_discovered, written)):
            return snapshot
        filled = {
            name: self._found.get(name, resource)
            for name, resource in written.items()
            if name in self._found or not names.is_discovered(name)
        }
        return snapshot.with_type(types.CLUSTER_LOAD_ASSIGNMENT, filled)
