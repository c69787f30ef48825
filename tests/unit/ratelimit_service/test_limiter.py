"""The order of memory, store and fallback, with a store that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from ratelimit_service.decision import Decision
from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.matching import Descriptor, match
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import PolicyBook
from ratelimit_service.store import Store, StoreError
from ratelimit_service.top_callers import TopCallers
from ratelimit_service.waiting_room import WaitingRoom
from servicekit.buckets.takes import Level, Take
from servicekit.contracts import Amount, Limit, LimitPolicy
from tests.unit.ratelimit_service.builders import Clock, book, descriptor, limit, sample


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
        self.top = TopCallers()
        self.counting = CountingStore(clock_us=self.clock.microseconds)
        self.refused = OverLimitCache()
        self.overrides = OverrideBook(wall=self.clock, changed=lambda: self.refused.clear(self.clock()))
        metrics = Metrics(self.registry)
        self.room = WaitingRoom(told=metrics.waited)
        self.limiter = Limiter(
            policy=self.policy,
            overrides=self.overrides,
            store=store or self.counting,
            local=LocalStore(clock_us=self.clock.microseconds),
            refused=self.refused,
            metrics=metrics,
            clock=self.clock,
            room=self.room,
            top=self.top,
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


@pytest.mark.parametrize("store", [None, BrokenStore()])
async def test_a_shadow_counts_and_holds_up_nobody(store: Store | None) -> None:
    """Full, it costs the other limit no token and the request nothing; it is told apart in the metrics."""
    bench = Bench(limit("real", burst=3), limit("shadow", burst=1, when_exceeded="shadow"), store=store)
    decisions = [await bench.ask("shadow", "real") for _ in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [decision.tightest.limit.name for decision in decisions if decision.tightest] == ["real"] * 4
    fits = [verdict.level.fits for decision in decisions for verdict in decision.verdicts[:1] if verdict]
    assert fits == [True, False, False, False]
    assert sample(bench.registry, "gateway_ratelimit_shadow_exceeded_total", limit="shadow", tier="user") == 3
    assert sample(bench.registry, "gateway_rate_limit_exceeded_total", limit="shadow", tier="user") == 0


async def test_shadows_do_not_hold_up_each_other() -> None:
    """Each says what it would have done alone."""
    bench = Bench(limit("one", burst=1, when_exceeded="shadow"), limit("two", burst=2, when_exceeded="shadow"))
    decisions = [await bench.ask("one", "two") for _ in range(3)]
    assert all(decision.allowed and decision.tightest is None for decision in decisions)
    assert [[v.level.fits for v in decision.verdicts if v] for decision in decisions] == [
        [True, True], [False, True], [False, False]
    ]  # fmt: skip


async def test_a_denied_tier_of_a_shadow_refuses_nobody() -> None:
    """It would have; the other limit counts."""
    bench = Bench(limit("shadow", when_exceeded="shadow", tiers={"-": "denied"}), limit("real", burst=1))
    assert [(await bench.ask("shadow", "real")).allowed for _ in range(2)] == [True, False]


async def test_what_comes_when_a_request_is_over_is_no_decision() -> None:
    """It takes, or gives back, and neither the metrics nor those who ask most show it."""
    bench = Bench(limit("told", most_cost=9, burst=5), limit("flying", algorithm="concurrency", requests=1))

    async def asked(name: str, *entries: tuple[str, str], hits: int = 1) -> int:
        entry = Descriptor((("limit", name), ("user", "alice"), *entries), hits)
        (verdict,) = (await bench.limiter.decide("gateway", [entry])).verdicts
        assert verdict is not None
        return verdict.level.remaining

    assert [await asked("told"), await asked("told", ("charge", "charge"), hits=3)] == [4, 2]
    assert await asked("flying", ("lease", "x")) == 0
    assert await asked("flying", ("lease", "x"), ("release", "release")) == 1
    assert sample(bench.registry, "gateway_ratelimit_decisions_total", outcome="ok", source="store") == 2
    assert {who: sum(counts) for who, counts in bench.top.take().items()} == {
        ("told", ("alice",)): 1,
        ("flying", ("alice",)): 1,
    }


async def test_a_request_waits_for_its_token() -> None:
    """By a clock that the first wait moves; the third would wait too long, and is told how long."""
    bench = Bench(limit(burst=1, requests=60, when_exceeded="queue", max_wait_seconds=0.2, max_waiting=5))
    assert (await bench.ask("per-user")).allowed
    refused = await bench.ask("per-user")
    assert (refused.allowed, refused.source) == (False, "queue")
    assert refused.tightest is not None
    assert refused.tightest.level.reset_us == 1_000_000
    waiting = asyncio.create_task(bench.ask("per-user"))
    assert not (await waiting).allowed
    bench.clock.now += 0.9  # a tenth of a second is left
    waiting = asyncio.create_task(bench.ask("per-user"))
    async with asyncio.timeout(10):
        while not len(bench.room):  # noqa: ASYNC110  # it has no event to tell
            await asyncio.sleep(0)
    bench.clock.now += 0.1
    assert (await waiting).allowed
    assert sample(bench.registry, "gateway_ratelimit_waited_total", outcome="served") == 1
    assert sample(bench.registry, "gateway_ratelimit_waited_total", outcome="shed") == 2


async def test_who_is_denied_does_not_wait() -> None:
    """It would be in vain."""
    bench = Bench(limit(when_exceeded="queue", max_wait_seconds=9, max_waiting=5, tiers={"-": "denied"}))
    decision = await bench.ask("per-user")
    assert (decision.allowed, decision.source) == (False, "override")


@pytest.mark.parametrize(("entries", "priority"), [((), 5), ((("priority", "7"),), 7), ((("priority", "77"),), 5)])
async def test_how_urgent_a_request_is(entries: tuple[tuple[str, str], ...], priority: int) -> None:
    """As its route says, in one digit."""
    found = book(limit(when_exceeded="queue", max_wait_seconds=9, max_waiting=5)).find
    asked = [Descriptor((("limit", "per-user"), ("user", "alice"), *entries), 1)]
    overrides = OverrideBook(wall=Clock(), changed=lambda: None)
    assert match(found, overrides, "gateway", asked).priorities == [priority]


async def test_a_tier_is_as_urgent_as_it_says() -> None:
    """Whatever the route says."""
    amount = Amount(requests=1, period_seconds=1, burst=1, priority=2)
    made = limit(when_exceeded="queue", max_wait_seconds=9, max_waiting=5, tiers={"free": amount})
    asked = [Descriptor((("limit", "per-user"), ("user", "alice"), ("tier", "free"), ("priority", "9")), 1)]
    overrides = OverrideBook(wall=Clock(), changed=lambda: None)
    assert match(book(made).find, overrides, "gateway", asked).priorities == [2]


async def test_a_degraded_request_goes_on() -> None:
    """It is counted as such, and refused by nobody."""
    bench = Bench(limit(burst=1, when_exceeded="degrade"))
    assert [(await bench.ask("per-user")).allowed for _ in range(3)] == [True] * 3
    assert sample(bench.registry, "gateway_ratelimit_degraded_total", limit="per-user", tier="user") == 2
