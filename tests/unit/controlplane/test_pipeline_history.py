"""What is live when several have something to say: the newest change wins (decision 13)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controlplane.config import ConfigError, load_document
from controlplane.events import Event, Events
from controlplane.history import NoStoreError
from controlplane.store import ConflictError, Outcome, RevisionStore, Store, StoreError, open_store
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.snapshot import Snapshot
from tests.harness.pipelines import Feed, apply, document, loaded, pipeline, port_of, rollout, running, until_port
from tests.harness.xds import eventually


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A history in a file."""
    opened = await open_store(f"sqlite:///{tmp_path / 'history.db'}")
    yield opened
    await opened.close()


async def said(feed: Feed) -> None:
    """Wait until all that a source had to say was taken."""
    async with asyncio.timeout(10):
        await feed.taken.wait()


async def test_what_was_applied_stays_live_until_the_file_says_something_new(store: Store) -> None:
    """Also over restarts, and also when the file was saved while no control plane was there."""
    async with running(pipeline(Feed(document(1)), store=store)) as line:
        await until_port(line, 1)
        assert await apply(line, document(2)) == 2
        assert port_of(line) == 2
    same = Feed(document(1))
    async with running(pipeline(same, store=store)) as line:
        await until_port(line, 2)
        await said(same)
        assert port_of(line) == 2
    async with running(pipeline(Feed(document(3)), store=store)) as line:
        await until_port(line, 3)
    heads = await store.revisions.page()
    assert [(head.number, head.author, head.origin) for head in heads] == [
        (3, "file", "gateway.yaml"),
        (2, "ada", "admin API"),
        (1, "file", "gateway.yaml"),
    ]


async def test_a_file_that_goes_back_is_a_change(store: Store) -> None:
    """The same text as long ago, but not the same as the last time."""
    feed = Feed(document(1), document(2), document(1))
    async with running(pipeline(feed, store=store)) as line:
        await said(feed)
        assert port_of(line) == 1
        assert line.status.number == 3


async def test_a_broken_file_at_the_start_takes_nothing_away(store: Store) -> None:
    """The newest revision is live, and the mistake is said."""
    async with running(pipeline(Feed(document(1)), store=store)) as line:
        await until_port(line, 1)
    broken = Feed("listeners: nonsense")
    async with running(pipeline(broken, store=store)) as line:
        await said(broken)
        assert port_of(line) == 1
        assert line.status.refused
        assert line.complaint() is None
        broken.say(document(1))
        await eventually(lambda: line.status.refused == (), "the mistake is forgotten")


async def test_what_is_applied_is_in_the_history_before_any_node_hears_of_it(store: Store) -> None:
    """With its author and message; of two writers who saw the same state, one wins."""
    cache = SnapshotCache()
    line = pipeline(store=store, cache=cache)
    assert await apply(line, document(1), parent=0) == 1
    newest = await store.revisions.newest()
    assert newest is not None
    assert (newest.author, newest.message, newest.text) == ("ada", "why", document(1).encode())
    results = await asyncio.gather(
        apply(line, document(2), parent=1), apply(line, document(3), parent=1), return_exceptions=True
    )
    assert 2 in results
    assert [type(one) for one in results if isinstance(one, Exception)] == [ConflictError]
    with pytest.raises(ConflictError):
        await apply(line, document(4), parent=1)


async def test_a_document_with_mistakes_is_no_revision(store: Store) -> None:
    """It is refused to whoever sent it; the status is about what sources say."""
    events = Events()
    line = pipeline(store=store, events=events)
    await apply(line, document(1))
    with pytest.raises(ConfigError):
        await apply(line, document(2).replace("upstream: echo", "upstream: eco"))
    assert port_of(line) == 1
    assert line.status.refused == ()
    assert [event.data["origin"] for event in events.after("") if event.kind == "refused"] == ["admin API"]
    assert len(await store.revisions.page()) == 1


async def test_without_a_store_nothing_can_be_applied() -> None:
    """It would be gone after a restart."""
    with pytest.raises(NoStoreError, match="GATEWAY_STORE_URL"):
        await apply(pipeline(), document(1))


async def test_another_text_of_the_same_meaning_is_a_revision_and_no_change(store: Store) -> None:
    """Its comment is kept; no node hears of it."""
    cache = SnapshotCache()
    line = pipeline(store=store, cache=cache)
    await line.take(loaded(document(1)))
    before = cache.get("edge")
    await line.take(loaded(f"# a comment\n{document(1)}"))
    assert cache.get("edge") is before
    assert line.status.number == 2


async def test_what_another_replica_records_goes_live_here(store: Store) -> None:
    """From the store's feed of changes, and is not recorded again."""
    one, two = pipeline(store=store), pipeline(store=store)
    async with running(one), running(two):
        await apply(one, document(1))
        await until_port(two, 1)
        await apply(two, document(2), parent=1)
        await until_port(one, 2)
    assert len(await store.revisions.page()) == 2


async def test_what_became_of_a_revision_is_written_down(store: Store) -> None:
    """Here nobody is connected who could refuse it."""
    events = Events()
    line = pipeline(store=store, events=events)
    async with asyncio.timeout(10), aclosing(events.subscribe("")) as happenings:
        await line.take(loaded(document(1)))
        async with running(line):
            while (await anext(happenings)).kind != "outcome":
                pass
    (head,) = await store.revisions.page()
    assert head.outcome is Outcome.APPLIED
    assert set(head.groups) == {"edge", "services"}


async def test_what_nodes_of_another_replica_refuse_is_taken_back_here(store: Store) -> None:
    """Their words are in the history; the group goes back to what it accepted."""
    cache = SnapshotCache()
    line = pipeline(store=store, cache=cache)
    async with running(line):
        await apply(line, document(1))
        accepted = cache.get("edge")
        await apply(line, document(2))
        await store.revisions.mark(2, Outcome.REFUSED, {"edge": {"outcome": "refused", "refused": {"far": "no"}}})
        await eventually(lambda: cache.get("edge") is accepted, "the group went back")
        await eventually(lambda: line.status.outcome is Outcome.REFUSED, "the status says so")
    (newest, _) = await store.revisions.page()
    assert newest.outcome is Outcome.REFUSED


async def test_after_a_restart_a_refused_revision_is_not_tried_again(store: Store) -> None:
    """Nodes get what the last accepted revision says, as before the restart."""
    async with running(pipeline(store=store)) as line:
        await apply(line, document(1))
        await eventually(lambda: line.status.outcome is Outcome.APPLIED, "the first is accepted")
        await apply(line, document(2))
        await store.revisions.mark(2, Outcome.REFUSED, {"edge": {"outcome": "refused", "refused": {"far": "no"}}})
        await eventually(lambda: line.status.outcome is Outcome.REFUSED, "the second is refused")
    cache = SnapshotCache()
    async with running(pipeline(store=store, cache=cache)) as line:
        await eventually(lambda: line.status.outcome is Outcome.REFUSED, "still refused")
        assert line.status.number == 2
        snapshot = cache.get("edge")
    fresh = SnapshotCache()
    await pipeline(cache=fresh).take(loaded(document(1)))
    expected = fresh.get("edge")
    assert snapshot is not None
    assert expected is not None
    assert snapshot.versions == expected.versions


async def test_what_is_imported_goes_live(store: Store, tmp_path: Path) -> None:
    """Also when its newest number is that of the one revision that was here before."""
    elsewhere = await open_store(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    await apply(pipeline(store=elsewhere), document(7))
    lines = [line async for line in elsewhere.export()]
    await elsewhere.close()

    async def exported() -> AsyncIterator[str]:
        for line in lines:
            yield line

    async with running(pipeline(Feed(document(1)), store=store)) as line:
        await until_port(line, 1)
        await store.import_lines(exported())
        await until_port(line, 7)


class Away:
    """A store of revisions that a test can take away."""

    def __init__(self, revisions: RevisionStore) -> None:
        self.is_away = False
        self._revisions = revisions

    def __getattr__(self, name: str) -> Any:
        if self.is_away and name != "changes":
            raise StoreError("away")
        return getattr(self._revisions, name)


async def test_what_was_saved_while_the_store_was_away_stays_live(store: Store) -> None:
    """And is recorded when the store is back: what it held before is not newer."""
    away = Away(store.revisions)
    feed = Feed(document(1))
    async with running(pipeline(feed, store=replace(store, revisions=away))) as line:
        await until_port(line, 1)
        away.is_away = True
        feed.say(document(2))
        await until_port(line, 2)
        assert line.status.number is None
        away.is_away = False
        await store.revisions.mark(1, Outcome.TIMED_OUT)  # as when another replica speaks: this one looks again
        await eventually(lambda: line.status.number == 2, "it is recorded")
        assert port_of(line) == 2
    heads = await store.revisions.page()
    assert [head.number for head in heads] == [2, 1]


async def test_what_nodes_may_have_from_before_a_restart_is_remembered(store: Store) -> None:
    """Newest first: the control plane may have ended before all nodes had the newest, and in the middle of changes."""
    cache = SnapshotCache()
    line = pipeline(store=store, cache=cache)
    sent = []
    for port in (1, 2, 3, 4):
        await apply(line, document(port))
        snapshot = cache.get("edge")
        assert snapshot is not None
        sent.append(snapshot.versions)
    remembered: list[Sequence[Snapshot]] = []
    after = pipeline(store=store, remember=remembered.append)
    async with running(after):
        await until_port(after, 4)
    (of_the_group,) = remembered
    assert [snapshot.versions for snapshot in of_the_group] == sent[::-1]


async def test_what_became_of_a_revision_is_not_undone_by_the_next_that_is_on_its_way(store: Store) -> None:
    """While a new release waits for its services, what nodes say is about that one and not about the last."""
    events = Events()
    publisher = rollout(events=events)
    line = pipeline(store=store, events=events, publisher=publisher)
    async with running(line):
        await apply(line, document(1))
        await eventually(lambda: line.status.outcome is Outcome.APPLIED, "the first is accepted")
        compiled = line.compile(load_document(document(2).encode(), origin="x"))
        await publisher.publish(compiled.release)
        events.publish("canary-waiting")
        for _ in range(100):  # turns of the loop: what follows from an event needs a few, and nothing from outside
            await asyncio.sleep(0)
        assert line.status.outcome is Outcome.APPLIED


async def test_a_canary_that_outlasts_the_wait_is_followed_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is connected to try it: it is open for a minute, and what somebody decides then is its outcome."""
    monkeypatch.setattr("controlplane.pipeline.OUTCOME_SECONDS", 0.01)
    events = Events()
    publisher = rollout(events=events)
    line = pipeline(store=store, events=events, publisher=publisher)
    async with running(line):
        await apply(line, document(1))
        await eventually(lambda: line.status.outcome is Outcome.APPLIED, "the first is accepted")
        await apply(line, document(2) + "rollout: {canary: {share: 10%, hold: 0s}}\n")
        told = [event async for event in _until_outcome(events)]
        assert told[-1].data["outcome"] is Outcome.PENDING
        await publisher.promote()
        await eventually(lambda: line.status.outcome is Outcome.APPLIED, "the second is accepted")


async def _until_outcome(events: Events) -> AsyncIterator[Event]:
    async for event in events.subscribe():
        yield event
        if event.kind == "outcome":
            return
