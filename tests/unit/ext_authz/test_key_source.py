"""One fetch at a time, and who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from ext_authz.key_source import MAX_WAITING, KeyRefresher
from ext_authz.key_state import Demand
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import Clock, key_source


class Slow:
    """A provider that answers when the test lets it."""

    def __init__(self) -> None:
        self.answer, self.asked = asyncio.Event(), asyncio.Event()
        self.calls = 0

    async def fetch(self, _uri: str) -> bytes:
        """One key, late."""
        self.calls += 1
        self.asked.set()
        await self.answer.wait()
        return jwks(signing_key("ES256").jwk())


def refresher(provider: Slow) -> KeyRefresher:
    """Of a source that nobody has asked yet."""
    return KeyRefresher(key_source(), fetcher=provider, clock=Clock(), count=lambda _provider, _outcome: None)


async def test_waiting_is_bounded() -> None:
    """Beyond so many requests the next ones are answered at once; those that wait get their keys."""
    provider = Slow()
    keys = refresher(provider)
    waiting = [asyncio.create_task(keys.obtain("k1", patience=30)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    assert await keys.obtain("k1", patience=30) is Demand.UNREACHABLE
    provider.answer.set()
    assert set(await asyncio.gather(*waiting)) == {Demand.FETCH}
    assert provider.calls == 1
    assert await keys.obtain("k1", patience=30) is Demand.ABSENT  # the budget is spent: nobody asks twice for nothing


async def test_who_gives_up_does_not_end_the_fetch() -> None:
    """One request's deadline is not another's."""
    provider = Slow()
    keys = refresher(provider)
    patient = asyncio.create_task(keys.obtain("k1", patience=30))
    assert await keys.obtain("k1", patience=0.01) is Demand.UNREACHABLE
    provider.answer.set()
    assert await patient is Demand.FETCH


async def test_stopping_ends_a_fetch() -> None:
    """Nothing is left behind, and who waits is told that there are no keys."""
    provider = Slow()
    keys = refresher(provider)
    background = asyncio.create_task(keys.run())
    waiting = asyncio.create_task(keys.obtain("k1", patience=30))
    await provider.asked.wait()
    background.cancel()
    assert await waiting is Demand.UNREACHABLE
    await asyncio.gather(background, return_exceptions=True)
    assert not [task for task in asyncio.all_tasks() if "fetch keys" in task.get_name()]


async def test_a_fault_in_fetching_is_not_hidden() -> None:
    """An error that nobody foresaw reaches whoever waits; it is not taken for a provider that is down."""

    class Faulty(Slow):
        async def fetch(self, _uri: str) -> bytes:
            raise LookupError("bug")

    with pytest.raises(LookupError):
        await refresher(Faulty()).obtain("k1", patience=1)
