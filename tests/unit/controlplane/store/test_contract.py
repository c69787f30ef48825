"""What every revision store does."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from controlplane.store import ConflictError, Outcome, Revision, RevisionStore, Store, open_store

pytestmark = pytest.mark.xdist_group("postgres")


async def record(store: RevisionStore, text: str, *, author: str = "ann", parent: int | None = None) -> Revision:
    """Record a text with its digest."""
    raw = text.encode()
    digest = hashlib.sha256(raw).hexdigest()
    return await store.record(raw, origin="file", author=author, message="why", digest=digest, parent=parent)


async def test_an_empty_store_has_nothing(store: RevisionStore) -> None:
    """Before the first revision there is no newest, no page and nothing to mark or prune."""
    assert await store.newest() is None
    assert await store.get(1) is None
    assert await store.page() == ()
    assert await store.mark(1, Outcome.APPLIED) is False
    assert await store.prune(1) == 0


async def test_a_revision_comes_back_as_it_was_recorded(store: RevisionStore) -> None:
    """Text, digest, author, origin, message and a time in UTC are kept, by whichever way they are read."""
    made = await record(store, "routes: [] # ü")
    assert (made.number, made.author, made.origin, made.message) == (1, "ann", "file", "why")
    assert made.digest == hashlib.sha256("routes: [] # ü".encode()).hexdigest()
    assert made.outcome is Outcome.PENDING
    assert made.created_at.tzinfo is UTC
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert await store.get(1) == await store.newest() == made


async def test_the_newest_text_again_is_no_revision(store: RevisionStore) -> None:
    """Recording what is newest gives that revision back; an older text is a revision again."""
    first = await record(store, "a")
    assert await record(store, "a", author="bob") == first
    await record(store, "b")
    assert (await record(store, "a")).number == 3


async def test_a_text_is_kept_byte_for_byte(store: RevisionStore) -> None:
    """Zero bytes and a megabyte survive."""
    raw = bytes(range(256)) * 4096
    digest = hashlib.sha256(raw).hexdigest()
    await store.record(raw, origin="", author="", message="", digest=digest)
    newest = await store.newest()
    assert newest is not None
    assert newest.text == raw


async def test_a_wrong_digest_is_refused(store: RevisionStore) -> None:
    """A digest that is not the text's never gets into the history."""
    with pytest.raises(ValueError, match="digest"):
        await store.record(b"a", origin="", author="", message="", digest="0" * 64)
    assert await store.newest() is None


async def test_a_writer_with_another_parent_changes_nothing(store: RevisionStore) -> None:
    """Whoever started from a revision that is not the newest any more is told so."""
    await record(store, "a", parent=0)
    await record(store, "b", parent=1)
    with pytest.raises(ConflictError, match="newest revision is 2, not 1"):
        await record(store, "c", parent=1)
    assert [head.number for head in await store.page()] == [2, 1]


async def test_pages_go_back_in_time(store: RevisionStore) -> None:
    """Newest first, each page begins below the last number of the one before, and sizes are bounded."""
    for text in "abcde":
        await record(store, text)
    assert [head.number for head in await store.page(limit=2)] == [5, 4]
    assert [head.number for head in await store.page(before=4, limit=2)] == [3, 2]
    assert [head.number for head in await store.page(before=2, limit=2)] == [1]
    for limit in (0, 501):
        with pytest.raises(ValueError, match="a page has"):
            await store.page(limit=limit)


async def test_an_outcome_is_kept(store: RevisionStore) -> None:
    """Marking changes the one revision and nothing else."""
    await record(store, "a")
    await record(store, "b")
    assert await store.mark(1, Outcome.REFUSED)
    assert [head.outcome for head in await store.page()] == [Outcome.PENDING, Outcome.REFUSED]


async def test_what_was_refused_stays_refused(store: RevisionStore) -> None:
    """Whatever another replica says for its own nodes afterwards."""
    await record(store, "a")
    assert await store.mark(1, Outcome.REFUSED, {"edge": {"outcome": "refused"}})
    assert await store.mark(1, Outcome.APPLIED, {"edge": {"outcome": "applied"}})
    (head,) = await store.page()
    assert (head.outcome, head.groups) == (Outcome.REFUSED, {"edge": {"outcome": "refused"}})


async def test_what_became_of_it_in_each_group_is_kept(store: RevisionStore) -> None:
    """With the words of who has refused it; marking without groups leaves them."""
    groups = {"edge": {"outcome": "refused", "refused": {"edge-1\0": "no such cluster ü"}}, "eu": {}}
    await record(store, "a")
    assert await store.mark(1, Outcome.TIMED_OUT, groups)
    assert await store.mark(1, Outcome.APPLIED)
    (head,) = await store.page()
    assert (head.outcome, head.groups) == (Outcome.APPLIED, groups)
    newest = await store.newest()
    assert newest is not None
    assert newest.groups == groups
    await store.mark(1, Outcome.APPLIED, {})
    assert (await store.page())[0].groups == {}


async def test_pages_can_be_filtered(store: RevisionStore) -> None:
    """By author and by outcome, and both; a filter that fits nothing gives nothing."""
    for number, author in enumerate(("ann", "bob", "ann", "bob"), 1):
        await record(store, str(number), author=author)
    await store.mark(1, Outcome.APPLIED)
    await store.mark(2, Outcome.APPLIED)
    assert [head.number for head in await store.page(author="ann")] == [3, 1]
    assert [head.number for head in await store.page(outcome=Outcome.APPLIED)] == [2, 1]
    assert [head.number for head in await store.page(author="ann", outcome=Outcome.PENDING)] == [3]
    assert [head.number for head in await store.page(before=3, limit=1, author="bob")] == [2]
    assert await store.page(author="nobody\0\ud800") == ()


async def test_what_a_source_had_last_is_kept(store: RevisionStore) -> None:
    """For each source its own, the last one, whatever it is called."""
    odd = "file:/etc/\ud800ü"
    assert await store.seen("file") is None
    await store.saw("file", "a" * 64)
    await store.saw("file", "b" * 64)
    await store.saw(odd, "c" * 64)
    assert (await store.seen("file"), await store.seen(odd)) == ("b" * 64, "c" * 64)


class EarlierClock:
    """The clock of a replica that is decades behind."""

    @staticmethod
    def now(zone: tzinfo) -> datetime:
        """The start of the century."""
        return datetime(2000, 1, 1, tzinfo=zone)


async def test_clocks_decide_nothing(everything: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a replica with a slow clock writes later comes later, in every table."""
    for author in ("right", "slow"):
        if author == "slow":
            for module in ("revisions", "audit", "tokens"):
                monkeypatch.setattr(f"controlplane.store.sql_{module}.datetime", EarlierClock)
        await record(everything.revisions, author, author=author)
        await everything.audit.append(actor=author, address="", action="", target="", detail={})
        await everything.tokens.create(name=author, role="viewer")
    assert [head.author for head in await everything.revisions.page()] == ["slow", "right"]
    assert [entry.actor for entry in await everything.audit.page()] == ["slow", "right"]
    assert [token.name for token in await everything.tokens.page()] == ["slow", "right"]
    assert (await everything.audit.page(limit=1))[0].at.year == 2000
    assert (await everything.audit.verify()).first_bad is None
    async for number in everything.revisions.changes():
        assert number == 2
        break


async def test_pruning_keeps_the_newest_and_the_numbers(store: RevisionStore) -> None:
    """Old revisions go, numbers go on from where they were, and the newest can't go."""
    for text in "abcde":
        await record(store, text)
    assert await store.prune(2) == 3
    assert [head.number for head in await store.page()] == [5, 4]
    assert (await record(store, "f")).number == 6
    with pytest.raises(ValueError, match="always kept"):
        await store.prune(0)


async def test_writers_on_several_replicas_make_one_history(url: str) -> None:
    """Four replicas that open and write at once get distinct numbers without gaps; each text is there once."""
    replicas = await asyncio.gather(*(open_store(url) for _ in range(4)))
    try:
        jobs = [record(replica.revisions, f"{i}.{n}") for i, replica in enumerate(replicas) for n in range(6)]
        made = await asyncio.gather(*jobs)
        assert sorted(one.number for one in made) == list(range(1, 25))
        for one in made:
            assert await replicas[0].revisions.get(one.number) == one
    finally:
        for replica in replicas:
            await replica.close()


async def test_of_writers_with_one_parent_one_wins(url: str) -> None:
    """The same parent has one child, whichever replica wrote it."""
    replicas = await asyncio.gather(*(open_store(url) for _ in range(4)))
    try:
        jobs = [record(replica.revisions, str(i), parent=0) for i, replica in enumerate(replicas)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert sum(isinstance(result, Revision) for result in results) == 1
        assert sum(isinstance(result, ConflictError) for result in results) == 3
        assert len(await replicas[0].revisions.page()) == 1
    finally:
        for replica in replicas:
            await replica.close()


async def test_the_same_text_from_all_replicas_is_one_revision(url: str) -> None:
    """Replicas that follow the same file record it once."""
    replicas = await asyncio.gather(*(open_store(url) for _ in range(4)))
    try:
        made = await asyncio.gather(*(record(replica.revisions, "same") for replica in replicas))
        assert {one.number for one in made} == {1}
    finally:
        for replica in replicas:
            await replica.close()
