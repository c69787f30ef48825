"""Good documents go live, bad ones are remembered and change nothing."""

from __future__ import annotations

from pathlib import Path

from controlplane.events import Events
from controlplane.preflight import EnvoyPreflight
from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache
from gateway.binaries import envoy_path
from tests.harness.pipelines import document, loaded, pipeline

GOOD = document(8000)


async def test_a_good_document_goes_live() -> None:
    """The group has its snapshot, the status says since when."""
    cache = SnapshotCache()
    line = pipeline(cache=cache)
    assert line.complaint() == "no document is live yet"
    await line.take(loaded(GOOD))
    assert line.complaint() is None
    snapshot = cache.get("edge")
    assert snapshot is not None
    assert set(snapshot.of_type(types.CLUSTER)) == {"echo"}
    assert line.status.origin == "gateway.yaml"
    assert line.status.gateway is not None


async def test_a_bad_document_changes_nothing_and_is_remembered() -> None:
    """Until the next good one."""
    cache = SnapshotCache()
    line = pipeline(cache=cache)
    await line.take(loaded(GOOD))
    before, revision = cache.get("edge"), line.status.digest
    await line.take(loaded(GOOD.replace("upstream: echo", "upstream: eco")))
    assert cache.get("edge") is before
    assert line.status.digest == revision
    (problem,) = line.status.refused
    assert problem.hint == "did you mean 'echo'?"
    await line.take(loaded(GOOD))
    assert line.status.refused == ()
    assert line.status.digest == revision


async def test_a_document_that_envoy_refuses_does_not_go_live(tmp_path: Path) -> None:
    """Its own words are the problem. The binary is a stand-in: no document is known that only Envoy refuses."""
    refusing = tmp_path / "envoy"
    refusing.write_text(
        "#!/bin/sh\necho '[2026-01-01 00:00:00.000][1][critical][main] [x.cc:1] no such thing' >&2\nexit 1\n"
    )
    refusing.chmod(0o700)
    cache = SnapshotCache()
    line = pipeline(cache=cache, preflight=EnvoyPreflight(binary=refusing, deadline=10))
    await line.take(loaded(GOOD))
    (problem,) = line.status.refused
    assert problem.code == "envoy-refuses"
    assert problem.message == "Envoy refuses what this becomes: no such thing"
    assert cache.get("edge") is None


async def test_an_envoy_that_cannot_be_asked_stops_nothing(tmp_path: Path) -> None:
    """The change goes live, with a warning."""
    cache = SnapshotCache()
    line = pipeline(cache=cache, preflight=EnvoyPreflight(binary=tmp_path / "none", deadline=10))
    await line.take(loaded(GOOD))
    assert cache.get("edge") is not None


async def test_the_real_envoy_takes_what_a_good_document_becomes() -> None:
    """With the binary of the embedded extra."""
    cache = SnapshotCache()
    await pipeline(cache=cache, preflight=EnvoyPreflight(binary=envoy_path(), deadline=10)).take(loaded(GOOD))
    assert cache.get("edge") is not None


async def test_equal_meaning_is_no_change() -> None:
    """Another text, the same gateway: nobody hears of it."""
    cache = SnapshotCache()
    line = pipeline(cache=cache)
    await line.take(loaded(GOOD))
    before = cache.get("edge")
    await line.take(loaded(f"# a comment\n{GOOD}"))
    assert cache.get("edge") is before


async def test_what_happens_is_told() -> None:
    """What went live, what was refused, and what the nodes said (here nobody is connected)."""
    events = Events()
    line = pipeline(events=events)
    await line.take(loaded(GOOD))
    await line.take(loaded(GOOD.replace("upstream: echo", "upstream: eco")))
    happened = {event.kind: event.data for event in events.after("")}
    assert happened["live"]["origin"] == "gateway.yaml"
    assert "eco" in happened["refused"]["problems"][0]
