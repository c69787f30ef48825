"""API keys are kept without their secrets; whoever follows their changes misses none, on either database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.store import Store, open_store
from controlplane.store.api_keys import ApiKey, ApiKeyStore, KeyChangedError, KeyFilter, NoSuchKeyError

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)


def key(key_id: str, *, provider: str = "partners", owner: str = "acme ü") -> ApiKey:
    """A key as a maker makes it."""
    return ApiKey(
        id=key_id,
        provider=provider,
        owner=owner,
        tier="gold",
        scopes=("orders:read",),
        metadata={"ticket": "42"},
        digest="a" * 64,
        previous_digest="",
        previous_until=None,
        created_at=NOW,
        rotated_at=None,
        expires_at=NOW,
        revoked_at=None,
        change=0,
    )


async def as_lines(lines: list[str]) -> AsyncIterator[str]:
    """As they come from a request."""
    for line in lines:
        yield line


@pytest.fixture
def keys(everything: Store) -> ApiKeyStore:
    """An empty store of keys."""
    return everything.api_keys


async def test_a_key_comes_back(keys: ApiKeyStore) -> None:
    """All of it, by its id; others are not there."""
    made = await keys.create(key("one"))
    assert made == replace(key("one"), change=1)
    assert await keys.find("one") == made
    assert await keys.find("two") is None


async def test_pages(keys: ApiKeyStore) -> None:
    """Newest first, a page after another, and only what is asked for."""
    for n in range(5):
        await keys.create(key(f"k{n}", provider="a" if n % 2 else "b", owner=f"o{n}"))
    await keys.revoke("k0")
    assert [one.id for one in await keys.page(KeyFilter(), limit=2)] == ["k4", "k3"]
    assert [one.id for one in await keys.page(KeyFilter(), after="k3", limit=2)] == ["k2", "k1"]
    assert [one.id for one in await keys.page(KeyFilter(provider="a"))] == ["k3", "k1"]
    assert [one.id for one in await keys.page(KeyFilter(owner="o2"))] == ["k2"]
    assert [one.id for one in await keys.page(KeyFilter(is_revoked=True))] == ["k0"]
    assert [one.id for one in await keys.page(KeyFilter(is_revoked=False, provider="b"))] == ["k4", "k2"]
    with pytest.raises(ValueError, match="1 to 500"):
        await keys.page(KeyFilter(), limit=501)


async def test_replacing(keys: ApiKeyStore) -> None:
    """Only what is still as the caller saw it, and never what was revoked."""
    made = await keys.create(key("one"))
    changed = await keys.replace(replace(made, digest="b" * 64, previous_digest=made.digest, previous_until=NOW))
    assert changed.change == 2
    assert await keys.find("one") == changed
    with pytest.raises(KeyChangedError):
        await keys.replace(made)
    with pytest.raises(NoSuchKeyError):
        await keys.replace(key("two"))
    await keys.revoke("one")
    revoked = await keys.find("one")
    assert revoked is not None
    with pytest.raises(NoSuchKeyError):
        await keys.replace(revoked)


async def test_revoking(keys: ApiKeyStore) -> None:
    """It stays and tells when; the second time changes nothing."""
    await keys.create(key("one"))
    assert await keys.revoke("one")
    first = await keys.find("one")
    assert first is not None
    assert first.revoked_at is not None
    assert await keys.revoke("one")
    assert await keys.find("one") == first
    assert not await keys.revoke("two")


async def test_changes_in_order(keys: ApiKeyStore) -> None:
    """Who knows a number reads what is after it, each key once and as it is now."""
    for name in ("one", "two", "three"):
        await keys.create(key(name))
    await keys.revoke("one")
    assert [(one.id, one.change) for one in await keys.changed_since(0, 10)] == [("two", 2), ("three", 3), ("one", 4)]
    assert [one.id for one in await keys.changed_since(2, 1)] == ["three"]
    assert await keys.changed_since(4, 10) == ()


async def test_writers_at_once(keys: ApiKeyStore) -> None:
    """Every change has a number of its own."""
    made = await asyncio.gather(*(keys.create(key(f"k{n}")) for n in range(20)))
    assert sorted(one.change for one in made) == list(range(1, 21))


async def test_another_replica_hears_of_it(url: str, everything: Store) -> None:
    """Whoever wrote it."""
    other = await open_store(url)
    heard = other.api_keys.changes()
    try:
        async with asyncio.timeout(5):
            assert await anext(heard) == 0
            await everything.api_keys.create(key("one"))
            while await anext(heard) != 1:
                pass
    finally:
        await heard.aclose()  # type: ignore[attr-defined] # it is a generator
        await other.close()


async def test_they_are_exported(everything: Store, tmp_path: Path) -> None:
    """And imported elsewhere, hash by hash; a store that has some is not empty."""
    await everything.api_keys.create(key("one"))
    lines = [line async for line in everything.export()]

    other = await open_store(f"sqlite:///{tmp_path}/other.db")
    try:
        counts = await other.import_lines(as_lines(lines))
        assert counts["api_key"] == 1
        assert await other.api_keys.find("one") == await everything.api_keys.find("one")
        assert [line async for line in other.export()] == lines
    finally:
        await other.close()
