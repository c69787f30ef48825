"""Lists that are followed: what was good stays, what changes goes to the groups that have a place for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from controlplane.discovery import DiscoveringCache, Discovery, DiscoveryError, ListMemory, Lists
from controlplane.discovery.discovery import KEPT_SECONDS
from controlplane.model import Endpoint, Gateway, TargetList
from controlplane.translate.consistency import check_consistent
from controlplane.translate.endpoints import assignment_name, discovered
from controlplane.translate.release import translate_release
from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.snapshot import Snapshot
from tests.harness.gateways import edge_snapshot, gateway, health_check, upstream
from tests.harness.xds import eventually

ONE, TWO = Endpoint(host="10.0.0.1", port=80), Endpoint(host="10.0.0.2", port=80)


def listed(place: str = "a", **rules: object) -> Gateway:
    """A gateway whose upstream is listed at ``place``; lists are read all the time."""
    found = TargetList(kind="file", place=place, interval=0.01, **rules)  # type: ignore[arg-type]  # tests name fields
    return gateway(upstreams=(upstream(endpoints=(), discovery="list", discover=found),))


class Place:
    """A list that a test writes."""

    def __init__(self) -> None:
        self.content: Sequence[Endpoint] | str | None = "not written"
        self.reads = 0

    async def read(self) -> Sequence[Endpoint] | None:
        """What the test says; text is why it is no good."""
        self.reads += 1
        if isinstance(self.content, str):
            raise DiscoveryError(self.content)
        return self.content


class Rig:
    """A discovery with lists that a test writes."""

    def __init__(self, folder: Path | None) -> None:
        self.places = {"a": Place(), "b": Place()}
        self.inner = SnapshotCache()
        self.cache = DiscoveringCache(self.inner)
        self.registry = CollectorRegistry()
        self.now = 0.0
        self.discovery = Discovery(
            cache=self.cache,
            open_list=self._open,
            memory=ListMemory(folder),
            registry=self.registry,
            clock=lambda: self.now,
        )

    def _open(self, where: TargetList, /) -> Lists:
        return self.places[where.place]

    async def bring(self, live: Gateway, group: str = "edge") -> Snapshot:
        """Let a group have it, as the pipeline does; what was set."""
        await self.discovery.follow(live)
        snapshot = edge_snapshot(live)
        self.cache.set(group, snapshot)
        return snapshot

    def shown(self, live: Gateway, group: str = "edge") -> str | None:
        """The version of the endpoints that a group is shown."""
        snapshot = self.inner.get(group)
        assert snapshot is not None
        return snapshot.set_of(types.CLUSTER_LOAD_ASSIGNMENT).version_of(assignment_name(live.upstreams[0]))

    async def until_read(self, place: str) -> None:
        """Wait until what is there now has been read and heard."""
        target = self.places[place].reads + 2
        await eventually(lambda: self.places[place].reads >= target, f"{place} is read")


@asynccontextmanager
async def running(folder: Path | None = None) -> AsyncIterator[Rig]:
    """Let it run for as long as a test takes."""
    rig = Rig(folder)
    task = asyncio.create_task(rig.discovery.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_endpoints_change_and_nothing_else() -> None:
    """Only the version of the endpoints is another, and equal lists have equal versions; the release stays the same."""
    async with running() as rig:
        live = listed()
        rig.places["a"].content = [ONE]
        written = await rig.bring(live)
        first, before = rig.shown(live), rig.inner.get("edge")
        rig.places["a"].content = [ONE, TWO]
        await eventually(lambda: rig.shown(live) != first, "the second list is shown")
        after = rig.inner.get("edge")
        assert before is not None
        assert after is not None
        differing = {url for url in after.versions if after.versions[url] != before.versions[url]}
        assert differing == {types.CLUSTER_LOAD_ASSIGNMENT}
        assert edge_snapshot(live).versions == written.versions
        rig.places["a"].content = [ONE]
        await eventually(lambda: rig.shown(live) == first, "the first list is shown again")


async def test_the_last_good_list_stays() -> None:
    """Whatever becomes of its list; the standing says since when and why."""
    async with running() as rig:
        live = listed()
        rig.places["a"].content = [ONE]
        await rig.bring(live)
        shown = rig.shown(live)
        for bad in ("gone", [], [Endpoint(host="127.0.0.1", port=80)]):
            rig.places["a"].content = bad
            await rig.until_read("a")
            (standing,) = rig.discovery.standings()
            assert rig.shown(live) == shown
            assert standing.endpoints == (ONE,)
            assert standing.failing_since is not None
            assert standing.error
        rig.places["a"].content = None  # as it was, and that was no good
        await rig.until_read("a")
        assert rig.discovery.standings()[0].error
        rig.places["a"].content = [ONE]
        await rig.until_read("a")
        assert rig.discovery.standings()[0].failing_since is None


async def test_an_empty_list_counts_where_the_document_says_so() -> None:
    """With ``at_least: 0`` there are no endpoints, which is another thing than not to know any."""
    async with running() as rig:
        live = listed(at_least=0)
        rig.places["a"].content = []
        await rig.bring(live)
        assert rig.shown(live) == translate_version(live)


def translate_version(live: Gateway) -> str | None:
    """The version of the empty place."""
    return edge_snapshot(live).set_of(types.CLUSTER_LOAD_ASSIGNMENT).version_of(assignment_name(live.upstreams[0]))


async def test_nothing_is_shown_before_anything_is_known() -> None:
    """A node may have endpoints from an earlier control plane: they are not taken from it."""
    async with running() as rig:
        live = listed()
        await rig.bring(live)
        assert rig.shown(live) is None
        rig.places["a"].content = [ONE]
        await eventually(lambda: rig.shown(live) is not None, "the list is shown")


async def test_two_releases_with_two_lists() -> None:
    """A canary and the others may have other places for one upstream, and each is shown its own."""
    async with running() as rig:
        old, new = listed("a"), listed("b")
        rig.places["a"].content, rig.places["b"].content = [ONE], [TWO]
        await rig.bring(old)
        await rig.bring(new, group="canary")
        assert None not in (rig.shown(old), rig.shown(new, "canary"))
        assert rig.shown(old) != rig.shown(new, "canary")
        rig.places["a"].content = [ONE, TWO]
        shown = rig.shown(old)
        await eventually(lambda: rig.shown(old) != shown, "the older release is followed, too")


async def test_lists_of_no_release_are_left_alone_after_a_while() -> None:
    """Not at once: a release that was taken back may come again."""
    async with running() as rig:
        rig.places["a"].content = rig.places["b"].content = [ONE]
        await rig.bring(listed("a"))
        await rig.bring(listed("b"))
        await rig.bring(listed("b"))
        await rig.until_read("a")
        rig.now += KEPT_SECONDS
        await rig.bring(listed("b"))
        await rig.until_read("b")
        reads = rig.places["a"].reads
        await rig.until_read("b")
        assert rig.places["a"].reads == reads


async def test_new_rules_for_the_same_list() -> None:
    """What was good by the old ones stays until the list is good by the new ones."""
    async with running() as rig:
        rig.places["a"].content = [ONE]
        await rig.bring(listed())
        strict = listed(at_least=2)
        await rig.bring(strict)
        await rig.until_read("a")
        assert rig.shown(strict) is not None
        assert "at_least says 2" in rig.discovery.standings()[0].error


async def test_what_is_known_goes_with_a_change_of_the_upstream() -> None:
    """A check that is added while the list is away brings another assignment, which has the endpoints at once."""
    async with running() as rig:
        rig.places["a"].content = [ONE]
        await rig.bring(listed())
        rig.places["a"].content = "gone"
        (plain,) = listed().upstreams
        checked = gateway(upstreams=(replace(plain, health_check=health_check()),))
        assert assignment_name(checked.upstreams[0]) != assignment_name(plain)
        await rig.bring(checked)
        assert rig.shown(checked) is not None


async def test_nobody_leaves_before_somebody_was_checked() -> None:
    """With a health check, those that are all replaced stay a moment; one that stays needs no company."""
    async with running() as rig:
        (plain,) = listed().upstreams
        live = gateway(upstreams=(replace(plain, health_check=health_check(timeout=0.2)),))

        def shown_of(*endpoints: Endpoint) -> str:
            return discovered(live.upstreams[0], endpoints).version

        rig.places["a"].content = [ONE]
        await rig.bring(live)
        assert rig.shown(live) == shown_of(ONE)
        rig.places["a"].content = [TWO]
        await eventually(lambda: rig.shown(live) == shown_of(TWO, ONE), "both are shown")
        await eventually(lambda: rig.shown(live) == shown_of(TWO), "the new one is shown alone")
        rig.places["a"].content = [ONE, TWO]
        await eventually(lambda: rig.shown(live) == shown_of(ONE, TWO), "a second one is shown")
        rig.places["a"].content = [ONE]
        await eventually(lambda: rig.shown(live) != shown_of(ONE, TWO), "it is alone again")
        assert rig.shown(live) == shown_of(ONE)


async def test_what_is_the_same_has_not_changed() -> None:
    """The standing says since when the endpoints have been these, and when the list was last good."""
    async with running() as rig:
        rig.places["a"].content = [ONE]
        await rig.bring(listed())
        (before,) = rig.discovery.standings()
        await rig.until_read("a")
        (after,) = rig.discovery.standings()
        assert after.changed_at == before.changed_at
        assert (after.good_at or 0) > (before.good_at or 0)  # type: ignore[operator]  # both are there


async def test_a_restart_begins_with_the_last_good_list(tmp_path: Path) -> None:
    """If the document still names the same list, and its rules allow what was kept. A torn file is none."""
    async with running(tmp_path) as rig:
        rig.places["a"].content = [ONE]
        await rig.bring(listed())
        shown = rig.shown(listed())
    assert (tmp_path / "resumes.json").stat().st_mode & 0o777 == 0o600
    # With a check its endpoints have another name, and the list is the same.
    (plain,) = listed().upstreams
    checked = gateway(upstreams=(replace(plain, health_check=health_check()),))
    async with running(tmp_path) as rig:
        await rig.bring(checked)
        assert rig.shown(checked) is not None
    for live, found in ((listed(), shown), (listed("b"), None), (listed(networks=("10.1.0.0/16",)), None)):
        async with running(tmp_path) as rig:
            await rig.bring(live)
            assert rig.shown(live) == found
    (tmp_path / "resumes.json").write_bytes(b'{"place": "')
    async with running(tmp_path) as rig:
        await rig.bring(listed())
        assert rig.shown(listed()) is None


async def test_metrics() -> None:
    """By upstream; those of an upstream that has no list any more are gone."""
    async with running() as rig:
        rig.places["a"].content = [ONE]
        await rig.bring(listed())
        labels = {"upstream": "resumes"}
        assert rig.registry.get_sample_value("gateway_discovery_endpoints", labels) == 1
        assert (rig.registry.get_sample_value("gateway_discovery_good_timestamp_seconds", labels) or 0) > 0
        await rig.bring(gateway())
        assert rig.registry.get_sample_value("gateway_discovery_endpoints", labels) is None


def test_labels_that_nobody_chooses_by_are_not_sent() -> None:
    """Nor does a change of them change anything; by what is chosen is part of the name."""
    (plain,) = listed().upstreams
    choosing = replace(plain, subsets=(("v",),))
    labelled = replace(ONE, labels=(("other", "1"), ("v", "1")))
    assert discovered(plain, [labelled]) == discovered(plain, [ONE])
    assert discovered(choosing, [labelled]) == discovered(choosing, [replace(ONE, labels=(("v", "1"),))])
    assert discovered(choosing, [labelled]).version != discovered(choosing, [ONE]).version
    assert assignment_name(choosing) != assignment_name(plain)


def test_what_has_no_lists_is_shown_as_it_is() -> None:
    """No copy, no cost."""
    inner = SnapshotCache()
    snapshot = edge_snapshot(gateway())
    DiscoveringCache(inner).set("edge", snapshot)
    assert inner.get("edge") is snapshot


def test_a_release_with_lists_is_consistent() -> None:
    """The place for what is found has the name that the cluster asks for; with a check's host it is another."""
    check_consistent(translate_release(listed()))
    plain = listed().upstreams[0]
    assert assignment_name(plain) != assignment_name(replace(plain, name="other"))
