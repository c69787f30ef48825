"""Who asks most: counted in bounded memory, added up in a real Valkey over all services, for a bounded time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.exceptions import RedisError

from controlplane.limit_state import Busy, LimitStates
from ratelimit_service.top_callers import TopCallers, TopReporter
from servicekit.buckets.top import MOST_KEPT, WINDOW_SECONDS, caller_of, member_of, top_key
from servicekit.redis_client import redis_client
from tests.harness.valkey import Valkey

NOW = 1_764_000_000.0
LIMIT = "per-user"


class Service:
    """Counts, and reports when it is told."""

    def __init__(self, url: str) -> None:
        self.client: Any = redis_client(SecretStr(url), deadline=2)
        self.callers = TopCallers()
        self.now = NOW
        self.reporter = TopReporter(client=self.client, callers=self.callers, wall=lambda: self.now)

    async def asked(self, caller: str, times: int, refused: int = 0) -> None:
        """One caller's requests, reported."""
        for number in range(times):
            self.callers.count(LIMIT, (caller,), number < refused)
        await self.reporter.report()


@pytest.fixture
async def service(valkey: Valkey) -> AsyncIterator[Service]:
    """One that reports to it."""
    made = Service(valkey.url)
    yield made
    await made.reporter.aclose()


@pytest.fixture
async def states(valkey: Valkey) -> AsyncIterator[LimitStates]:
    """As the control plane has them."""
    made = LimitStates(redis_client(SecretStr(valkey.url), deadline=2))
    yield made
    await made.aclose()


async def test_counts_of_all_services_are_one(service: Service, states: LimitStates, valkey: Valkey) -> None:
    """Sorted by what is asked for; in this window and the one before."""
    other = Service(valkey.url)
    try:
        await service.asked("a:alice", 5, 1)
        await other.asked("a:alice", 5, 1)
        other.now += WINDOW_SECONDS
        await other.asked("a:bob", 4, 4)
        assert await states.top(LIMIT, by="asked", most=9, now=other.now) == [
            Busy(("a:alice",), 10, 2), Busy(("a:bob",), 4, 4)
        ]  # fmt: skip
        assert [one.caller for one in await states.top(LIMIT, by="exceeded", most=1, now=other.now)] == [("a:bob",)]
        later = other.now + WINDOW_SECONDS
        assert [one.caller for one in await states.top(LIMIT, by="asked", most=9, now=later)] == [("a:bob",)]
        assert await states.top("other", by="asked", most=9, now=NOW) == []
    finally:
        await other.reporter.aclose()


async def test_memory_is_bounded(service: Service, states: LimitStates, valkey: Valkey) -> None:
    """Here, in one report, and in Valkey, where nothing stays; who asks most is found among many."""
    few = TopCallers(most=2)
    for caller in ("a", "b", "c"):
        few.count(LIMIT, (caller,), False)
    assert len(few.take()) == 2
    for round_ in range(3):
        for number in range(600):
            service.callers.count(LIMIT, (f"u{round_}-{number}",), False)
        await service.asked("busy", 20)
        await service.asked("x" * 2000, 30)
    key = top_key("asked", LIMIT, int(NOW // WINDOW_SECONDS))
    assert valkey.command("ZCARD", key) == MOST_KEPT
    assert 0 < valkey.command("TTL", key) <= 2 * WINDOW_SECONDS
    assert await states.top(LIMIT, by="asked", most=1, now=NOW) == [Busy(("busy",), 60, 0)]


async def test_what_cannot_be_reported_is_let_go(service: Service, valkey: Valkey) -> None:
    """Nothing grows while Valkey is away."""
    valkey.kill()
    try:
        with pytest.raises((RedisError, OSError)):
            await service.asked("a", 1)
        assert not service.callers.take()
    finally:
        valkey.start()


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_caller_comes_back(values: list[str]) -> None:
    """Whatever its values are."""
    assert caller_of(member_of(values)) == tuple(values)


@given(st.binary(max_size=50) | st.sampled_from([b"[]", b"[1]", b"{}", b"[" * 5000]))
def test_what_is_no_caller_is_none(member: bytes) -> None:
    """And no error."""
    found = caller_of(member)
    assert found is None or all(isinstance(value, str) for value in found)
