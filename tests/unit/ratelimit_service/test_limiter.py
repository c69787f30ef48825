"""The order of memory, store and fallback, with a store that does what the test says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from ratelimit_service.decision import Decision
from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import PolicyBook
from ratelimit_service.store import Store, StoreError
from servicekit.buckets.takes import Level, Take
from servicekit.contracts import Limit, LimitPolicy
from tests.unit.ratelimit_service.builders import Clock, descriptor, limit, sample


class BrokenStore:
    """Fails every question, and counts them."""

    def __init__(self, *, available: bool = True) -> None:
        self.available = available
        self.asked = 0

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """No answer."""
        self.asked += 1
        raise StoreError("timeout")


class CountingStore(LocalStore):
    """A working store that counts the questions."""

    asked = 0

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """An answer."""
        self.asked += 1
        return await super().take(takes)


class Bench:
    """A limiter with everything round it."""

    def __init__(self, *limits: Limit, store: Store | None = None, local_share: float = 1.0) -> None:
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.policy = PolicyBook(clock=self.clock, local_share=local_share)
        self.policy.apply(LimitPolicy(limits=limits))
        self.counting = CountingStore(clock_us=self.clock.microseconds)
        self.refused = OverLimitCache()
        self.overrides = OverrideBook(wall=self.clock, changed=lambda: self.refused.clear(self.clock()))
        self.limiter = Limiter(
            policy=self.policy,
            overrides=self.overrides,
            store=store or self.counting,
            local=LocalStore(clock_us=self.clock.microseconds),
            refused=self.refused,
            metrics=Metrics(self.registry),
            clock=self.clock,
        )

    async def ask(self, *names: str, caller: str = "alice") -> Decision:
        """One request under the named limits."""
        return await self.limiter.decide("gateway", [descriptor(name, caller=caller) for name in names])


async def test_the_store_decides_and_refusals_are_remembered() -> None:
    """Four questions for a burst of three; the fifth and sixth need no store, until a token is there again."""
    bench = Bench(limit(burst=3))
    outcomes = [(await bench.ask("per-user")).allowed for _ in range(6)]
    assert outcomes == [True, True, True, False, False, False]
    assert bench.counting.asked == 4
    assert sample(bench.registry, "gateway_rate_limit_exceeded_total", limit="per-user", tier="user") == 3
    assert sample(bench.registry, "gateway_ratelimit_decisions_total", outcome="over_limit", source="cache") == 2
    bench.clock.now += 1
    assert (await bench.ask("per-user")).allowed


async def test_a_raised_limit_is_felt_at_once() -> None:
    """A caller who was refused a moment ago, and remembered as such, is asked for again."""
    bench = Bench(limit(burst=1))
    assert [(await bench.ask("per-user")).allowed for _ in range(2)] == [True, False]
    bench.policy.apply(LimitPolicy(limits=(limit(burst=5),)))
    assert (await bench.ask("per-user")).allowed


async def test_unknown_limits_let_through_and_are_counted() -> None:
    """No store is asked."""
    bench = Bench(limit())
    decision = await bench.ask("per-planet")
    assert decision.allowed
    assert decision.verdicts == [None]
    assert bench.counting.asked == 0
    assert sample(bench.registry, "gateway_ratelimit_unknown_limits_total") == 1


@pytest.mark.parametrize("available", [True, False])
async def test_without_the_store_each_limit_goes_its_own_way(available: bool) -> None:
    """``local`` counts here, ``allow`` lets through, ``deny`` refuses; a store known to be away is not asked."""
    store = BrokenStore(available=available)
    bench = Bench(
        limit("local", burst=2),
        limit("allow", burst=2, on_store_failure="allow"),
        limit("deny", on_store_failure="deny"),
        store=store,
    )
    assert [(await bench.ask("local")).allowed for _ in range(3)] == [True, True, False]
    assert [(await bench.ask("allow")).allowed for _ in range(3)] == [True, True, True]
    refused = await bench.ask("deny")
    assert not refused.allowed
    assert refused.tightest is not None
    assert refused.tightest.level.reset_us == 1_000_000
    assert refused.source == "fallback"
    assert store.asked == (7 if available else 0)
    assert sample(bench.registry, "gateway_ratelimit_decisions_total", outcome="ok", source="fallback") == 5


async def test_a_local_bucket_loses_nothing_to_a_refusal_by_another_limit() -> None:
    """All or nothing holds for the fallback too."""
    bench = Bench(limit("local", burst=1), limit("deny", on_store_failure="deny"), store=BrokenStore())
    assert not (await bench.ask("local", "deny")).allowed
    assert (await bench.ask("local")).allowed


async def test_the_local_bucket_holds_its_share() -> None:
    """Half of a burst of four, for one of two replicas."""
    bench = Bench(limit(burst=4), store=BrokenStore(), local_share=0.5)
    assert [(await bench.ask("per-user")).allowed for _ in range(3)] == [True, True, False]


async def test_losing_the_store_is_no_way_out_of_a_limit() -> None:
    """What the store refused before it went away stays refused until its reset."""
    bench = Bench(limit(burst=1))
    assert [(await bench.ask("per-user")).allowed for _ in range(2)] == [True, False]
    bench.counting.available = False
    assert not (await bench.ask("per-user")).allowed
    bench.clock.now += 1
    assert (await bench.ask("per-user")).source == "fallback"
