"""What services are shown of API keys: all or nothing, the same on every replica, and little for one change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from controlplane.api_keys import API_KEYS, KeyMaker
from controlplane.publishing import Publisher
from controlplane.store import Store, StoreError, open_store
from controlplane.store.api_keys import ApiKey
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts import ApiKeys
from servicekit.contracts.api_keys import API_KEY_TEXT, key_digest
from servicekit.contracts.parts import part_of
from servicekit.xds import INDEX

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MAKER = KeyMaker(secret=b"the installation's secret")


class Shown:
    """A cache that remembers what it was last told."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.count = 0
        self._changed = asyncio.Event()

    def set(self, _group: str, snapshot: Snapshot) -> None:
        """As the snapshot cache."""
        self.snapshot, self.count = snapshot, self.count + 1
        self._changed.set()

    async def next(self) -> Snapshot:
        """The snapshot after the one that is there."""
        self._changed.clear()
        async with asyncio.timeout(10):
            await self._changed.wait()
        assert self.snapshot is not None
        return self.snapshot


def parts(snapshot: Snapshot) -> dict[str, ApiKeys]:
    """What it says."""
    resources = snapshot.of_type(ApiKeys.TYPE_URL).values()
    return {one.name: ApiKeys.decode(AnyMessage.FromString(one.body).value) for one in resources}


def ids(snapshot: Snapshot) -> set[str]:
    """Of all keys."""
    return {key.id for part in parts(snapshot).values() for key in part.keys}


def make(**changes: Any) -> tuple[ApiKey, str]:
    """A key and what its bearer sends."""
    members: dict[str, Any] = {"owner": "acme", "tier": "", "scopes": (), "metadata": {}, "expires_at": None}
    return MAKER.make(NOW, provider="partners", **(members | changes))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty one."""
    opened = await open_store(f"sqlite:///{tmp_path}/history.db")
    yield opened
    await opened.close()


@asynccontextmanager
async def publishing(store: Store) -> AsyncIterator[Shown]:
    """A replica."""
    shown = Shown()
    publisher = Publisher(API_KEYS, store=store.api_keys, cache=shown, group="keys", clock=lambda: NOW)
    task = asyncio.create_task(publisher.run())
    try:
        yield shown
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_without_keys_there_is_an_index(store: Store) -> None:
    """So that services know that they know all keys."""
    async with publishing(store) as shown:
        assert parts(await shown.next()) == {INDEX: ApiKeys()}


async def test_one_change_sends_one_part(store: Store) -> None:
    """And the index only when there is a part more or less."""
    first, _ = make()
    await store.api_keys.create(first)
    async with publishing(store) as shown:
        before = await shown.next()
        assert set(parts(before)) == {INDEX, part_of(first.id)}
        second, _ = make()
        while part_of(second.id) == part_of(first.id):
            second, _ = make()
        waiting = asyncio.ensure_future(shown.next())
        await asyncio.sleep(0)
        await store.api_keys.create(second)
        after = await waiting
        versions = [
            {one.name: one.version for one in had.of_type(ApiKeys.TYPE_URL).values()} for had in (before, after)
        ]
        assert {name for name in versions[1] if versions[0].get(name) != versions[1][name]} == {
            INDEX,
            part_of(second.id),
        }


async def test_what_is_revoked_or_over_is_not_shown(store: Store) -> None:
    """A part that is empty is not there any more."""
    good, _ = make(expires_at=NOW + timedelta(seconds=1))
    for key in (good, make(expires_at=NOW)[0], make()[0]):
        made = await store.api_keys.create(key)
    await store.api_keys.revoke(made.id)
    async with publishing(store) as shown:
        assert ids(await shown.next()) == {good.id}
        waiting = asyncio.ensure_future(shown.next())
        await asyncio.sleep(0)
        await store.api_keys.revoke(good.id)
        assert parts(await waiting) == {INDEX: ApiKeys()}


async def test_replicas_show_the_same_bytes(store: Store) -> None:
    """Whenever they began: a service that goes to another replica is sent nothing."""
    keys = [await store.api_keys.create(make()[0]) for _ in range(600)]
    async with publishing(store) as one:
        first = await one.next()
        waiting = asyncio.ensure_future(one.next())
        await asyncio.sleep(0)
        rotated, _ = MAKER.rotate(keys[0], NOW, timedelta(hours=1))
        await store.api_keys.replace(rotated)
        changed = await waiting
        async with publishing(store) as other:
            assert (await other.next()).versions == changed.versions != first.versions


async def test_a_store_that_fails_amid_reading(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is shown before all is read."""
    keys = {(await store.api_keys.create(make()[0])).id for _ in range(5)}
    real, calls = store.api_keys.changed_since, 0

    async def failing(change: int, _limit: int) -> tuple[ApiKey, ...]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoreError("away")
        return await real(change, 2)

    monkeypatch.setattr(store.api_keys, "changed_since", failing)
    monkeypatch.setattr("controlplane.publishing._PAUSE", 0.01)
    async with publishing(store) as shown:
        assert ids(await shown.next()) == keys
        assert shown.count == 1


def test_rotating_keeps_two_secrets_at_most() -> None:
    """The new one and the one before it; with no overlap only the new one."""
    key, text = make()
    first = API_KEY_TEXT.read(text)
    once, second_text = MAKER.rotate(key, NOW, timedelta(hours=1))
    second = API_KEY_TEXT.read(second_text)
    assert first is not None
    assert second is not None
    assert first.id == second.id == once.id
    assert once.previous_digest == key.digest == key_digest(MAKER.secret, first)
    assert once.digest == key_digest(MAKER.secret, second)
    assert once.previous_until == NOW + timedelta(hours=1)
    twice, _ = MAKER.rotate(once, NOW, timedelta(0))
    assert (twice.previous_digest, twice.previous_until) == ("", None)
    assert "installation" not in repr(MAKER)
