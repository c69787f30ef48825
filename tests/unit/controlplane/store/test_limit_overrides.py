"""Overrides of limits are kept; whoever follows their changes misses none, on either database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.store import Store, TransferError, open_store
from controlplane.store.limit_overrides import (
    LimitOverride,
    LimitOverrideStore,
    NoSuchOverrideError,
    OverrideChangedError,
    OverrideExistsError,
)
from servicekit.contracts.limit_overrides import override_id

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)


def override(caller: str, *, limit: str = "per-user") -> LimitOverride:
    """An override as the admin API makes it."""
    return LimitOverride(
        id=override_id(limit, (caller,)),
        limit=limit,
        caller=(caller,),
        ruling="amount",
        requests=1000,
        period=0.1,
        burst=2000,
        note="until their import is done ü",
        created_at=NOW,
        changed_at=None,
        expires_at=NOW + timedelta(days=1),
        removed_at=None,
        change=0,
    )


async def as_lines(lines: list[str]) -> AsyncIterator[str]:
    """As they come from a request."""
    for line in lines:
        yield line


@pytest.fixture
def overrides(everything: Store) -> LimitOverrideStore:
    """An empty store of overrides."""
    return everything.limit_overrides


async def test_an_override_comes_back(overrides: LimitOverrideStore) -> None:
    """All of it, to the bit; there is one for a caller of a limit and no more."""
    made = await overrides.create(override("alice"))
    assert made == replace(override("alice"), change=1)
    assert await overrides.find(made.id) == made
    assert await overrides.find("none") is None
    with pytest.raises(OverrideExistsError):
        await overrides.create(override("alice"))


async def test_pages(overrides: LimitOverrideStore) -> None:
    """Of one limit, the last changed first, a page after another."""
    made = [await overrides.create(override(f"u{n}")) for n in range(4)]
    await overrides.create(override("u0", limit="other"))
    await overrides.replace(made[0])
    await overrides.remove(made[2].id, NOW)
    assert [one.caller for one in await overrides.page("per-user", limit=2)] == [("u0",), ("u3",)]
    assert [one.caller for one in await overrides.page("per-user", after=made[3].id)] == [("u1",)]
    with pytest.raises(ValueError, match="1 to 500"):
        await overrides.page("per-user", limit=501)


async def test_replacing(overrides: LimitOverrideStore) -> None:
    """Only what is still as the caller saw it, and never what was removed."""
    made = await overrides.create(override("alice"))
    changed = await overrides.replace(replace(made, ruling="denied", requests=None, period=None, burst=None))
    assert changed.change == 2
    assert await overrides.find(made.id) == changed
    with pytest.raises(OverrideChangedError):
        await overrides.replace(made)
    await overrides.remove(made.id, NOW)
    with pytest.raises(NoSuchOverrideError):
        await overrides.replace(changed)


async def test_removing(overrides: LimitOverrideStore) -> None:
    """Nobody is named any more; who follows hears of it; and there may be another one for the caller."""
    made = await overrides.create(override("alice"))
    assert await overrides.remove(made.id, NOW)
    assert not await overrides.remove(made.id, NOW)
    assert await overrides.find(made.id) is None
    (left,) = await overrides.changed_since(1, 10)
    assert (left.id, left.caller, left.note, left.removed_at) == (made.id, (), "", NOW)
    again = await overrides.create(override("alice"))
    assert again.change > left.change
    assert await overrides.changed_since(0, 10) == (again,)


async def test_changes_in_order(overrides: LimitOverrideStore) -> None:
    """Who knows a number reads what is after it, each override once and as it is now."""
    ids = [(await overrides.create(override(name))).id for name in ("one", "two", "three")]
    await overrides.remove(ids[0], NOW)
    found = [(one.id, one.change) for one in await overrides.changed_since(0, 10)]
    assert found == [(ids[1], 2), (ids[2], 3), (ids[0], 4)]
    assert [one.id for one in await overrides.changed_since(2, 1)] == [ids[2]]


async def test_writers_at_once(overrides: LimitOverrideStore) -> None:
    """Every change has a number of its own; of several for one caller one is first."""
    made = await asyncio.gather(*(overrides.create(override(f"u{n}")) for n in range(10)))
    assert sorted(one.change for one in made) == list(range(1, 11))
    found = await asyncio.gather(*(overrides.create(override("same")) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, OverrideExistsError) for one in found) == 4


async def test_another_replica_hears_of_it(url: str, everything: Store) -> None:
    """Whoever wrote it."""
    other = await open_store(url)
    heard = other.limit_overrides.changes()
    try:
        async with asyncio.timeout(10):
            assert await anext(heard) == 0
            await everything.limit_overrides.create(override("alice"))
            while await anext(heard) != 1:
                pass
    finally:
        await heard.aclose()  # type: ignore[attr-defined] # it is a generator
        await other.close()


async def test_they_are_exported(everything: Store, tmp_path: Path) -> None:
    """And imported elsewhere, with what is left of removed ones; a store that has some is not empty."""
    made = await everything.limit_overrides.create(override("alice"))
    gone = await everything.limit_overrides.create(override("bob"))
    await everything.limit_overrides.remove(gone.id, NOW)
    lines = [line async for line in everything.export()]

    other = await open_store(f"sqlite:///{tmp_path}/other.db")
    try:
        counts = await other.import_lines(as_lines(lines))
        assert counts["limit_override"] == 2
        assert await other.limit_overrides.find(made.id) == made
        assert [line async for line in other.export()] == lines
        assert not any("bob" in line for line in lines)
        with pytest.raises(TransferError, match="not empty"):
            await other.import_lines(as_lines(lines))
    finally:
        await other.close()
