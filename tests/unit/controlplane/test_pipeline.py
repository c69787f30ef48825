"""Good documents go live, bad ones are remembered and change nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from controlplane.config import ConfigError, load_document
from controlplane.events import Events
from controlplane.history import History
from controlplane.pipeline import Pipeline
from controlplane.placement import Placement
from controlplane.preflight import EnvoyPreflight
from controlplane.rollout import Rollout
from controlplane.sources import Loaded
from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.ledger import Ledger
from controlplane.xds.load_book import LoadBook
from gateway.binaries import envoy_path

GOOD = """
listeners: [{name: http, port: 8000}]
upstreams: [{name: echo, endpoints: ["http://127.0.0.1:8048"]}]
routes: [{match: {path_prefix: /}, upstream: echo}]
"""


def loaded(text: str) -> Loaded:
    """What a source makes of ``text``."""
    try:
        return Loaded("gateway.yaml", load_document(text.encode(), origin="gateway.yaml"))
    except ConfigError as error:
        return Loaded("gateway.yaml", error)


class Fixed:
    """A source of given documents."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    async def documents(self) -> AsyncIterator[Loaded]:
        """Each once."""
        for text in self._texts:
            yield loaded(text)


def pipeline(cache: SnapshotCache, *texts: str, preflight: EnvoyPreflight | None = None) -> Pipeline:
    """A pipeline for one group and nobody connected."""
    return Pipeline(
        source=Fixed(*texts),
        rollout=Rollout(
            cache=cache,
            ledger=Ledger(clock=lambda: 0.0),
            placement=Placement(),
            regroup=lambda: None,
            loads=LoadBook(),
            events=Events(),
            registry=CollectorRegistry(),
        ),
        history=History(store=None, keep=1),
        preflight=preflight,
        listen_address="127.0.0.1",
        registry=CollectorRegistry(),
    )


async def test_a_good_document_goes_live() -> None:
    """The group has its snapshot, the status says since when."""
    cache = SnapshotCache()
    line = pipeline(cache, GOOD)
    assert line.complaint() == "no document is live yet"
    await line.run()
    assert line.complaint() is None
    snapshot = cache.get("edge")
    assert snapshot is not None
    assert set(snapshot.of_type(types.CLUSTER)) == {"echo"}
    assert line.status.origin == "gateway.yaml"
    assert line.status.gateway is not None


async def test_a_bad_document_changes_nothing_and_is_remembered() -> None:
    """Until the next good one."""
    cache = SnapshotCache()
    line = pipeline(cache)
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
    line = pipeline(cache, preflight=EnvoyPreflight(binary=refusing, deadline=10))
    await line.take(loaded(GOOD))
    (problem,) = line.status.refused
    assert problem.code == "envoy-refuses"
    assert problem.message == "Envoy refuses what this document becomes: no such thing"
    assert cache.get("edge") is None


async def test_an_envoy_that_cannot_be_asked_stops_nothing(tmp_path: Path) -> None:
    """The change goes live, with a warning."""
    cache = SnapshotCache()
    line = pipeline(cache, preflight=EnvoyPreflight(binary=tmp_path / "none", deadline=10))
    await line.take(loaded(GOOD))
    assert cache.get("edge") is not None


async def test_the_real_envoy_takes_what_a_good_document_becomes() -> None:
    """With the binary of the embedded extra."""
    cache = SnapshotCache()
    await pipeline(cache, GOOD, preflight=EnvoyPreflight(binary=envoy_path(), deadline=10)).run()
    assert cache.get("edge") is not None


async def test_equal_meaning_is_no_change() -> None:
    """Another text, the same gateway: nobody hears of it."""
    cache = SnapshotCache()
    line = pipeline(cache)
    await line.take(loaded(GOOD))
    before = cache.get("edge")
    await line.take(loaded(f"# a comment\n{GOOD}"))
    assert cache.get("edge") is before
