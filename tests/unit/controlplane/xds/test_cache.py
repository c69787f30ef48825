"""The snapshot cache by itself, without a document: whole snapshots and single resources."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.snapshot import EMPTY, Resource, Snapshot
from tests.unit.controlplane.xds.builders import resource, snapshot_of

CDS, EDS = types.CLUSTER, types.CLUSTER_LOAD_ASSIGNMENT


def test_a_group_has_what_it_was_given() -> None:
    """And ``None`` before, and after it is cleared."""
    cache = SnapshotCache()
    assert cache.get("g") is None
    snapshot = snapshot_of(CDS, a="1")
    cache.set("g", snapshot)
    assert cache.get("g") is snapshot
    assert cache.get("other") is None
    cache.clear("g")
    assert cache.get("g") is None
    cache.clear("g")


def test_single_resources_can_be_changed() -> None:
    """Add, update, remove; of a group that nobody has set, too."""
    cache = SnapshotCache()
    cache.update("g", resource(CDS, "a"))
    cache.update("g", resource(CDS, "b"))
    cache.update("g", resource(CDS, "a", "2"))
    assert cache.get("g") == snapshot_of(CDS, a="2", b="1")
    cache.remove("g", CDS, "a")
    cache.remove("g", CDS, "never")
    assert cache.get("g") == snapshot_of(CDS, b="1")
    cache.remove("g", CDS, "b")
    assert cache.get("g") == EMPTY


def test_watchers_hear_of_the_newest_at_once_and_until_they_end() -> None:
    """One slot each: what it is told is what there is."""
    cache = SnapshotCache()
    heard: list[Snapshot | None] = []
    end = cache.watch("g", heard.append)
    first, second = snapshot_of(CDS, a="1"), snapshot_of(CDS, a="2")
    cache.set("g", first)
    cache.set("other", second)
    cache.set("g", second)
    cache.clear("g")
    end()
    end()
    cache.set("g", first)
    assert heard == [None, first, second, None]


def test_a_watcher_may_end_another_while_being_told() -> None:
    """Streams come and go at any time."""
    cache = SnapshotCache()
    ends: list[Callable[[], None]] = []
    told = 0

    def watcher(_: Snapshot | None) -> None:
        nonlocal told
        told += 1
        for end in ends:
            end()

    ends += [cache.watch("g", watcher), cache.watch("g", watcher)]
    cache.set("g", EMPTY)
    cache.set("g", EMPTY)
    assert told == 3  # both at the beginning, and one by the first change


edits = st.lists(
    st.tuples(st.sampled_from([CDS, EDS]), st.sampled_from("abc"), st.none() | st.sampled_from("12")), max_size=20
)


@given(edits)
def test_edits_give_the_same_snapshot_as_making_it_whole(edits: list[tuple[str, str, str | None]]) -> None:
    """Content and versions, whatever the order."""
    snapshot = EMPTY
    held: dict[tuple[str, str], Resource] = {}
    for type_url, name, content in edits:
        if content is None:
            snapshot = snapshot.without_resource(type_url, name)
            held.pop((type_url, name), None)
        else:
            held[type_url, name] = resource(type_url, name, content)
            snapshot = snapshot.with_resource(held[type_url, name])
    whole = Snapshot.of(held.values())
    assert snapshot == whole
    assert {url: list(names) for url, names in snapshot.resources.items()} == {
        url: list(names) for url, names in whole.resources.items()
    }
