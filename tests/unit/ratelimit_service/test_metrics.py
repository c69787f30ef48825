"""What is counted beside decisions: how near callers are to their limits, and for how long the store was away."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from ratelimit_service.metrics import Metrics
from servicekit.contracts import LimitOverrides
from tests.unit.ratelimit_service.builders import Clock, limit, sample
from tests.unit.ratelimit_service.test_limiter import Bench
from tests.unit.ratelimit_service.test_overrides import override


async def test_who_comes_near_is_counted() -> None:
    """Of ten the last two; neither refusals, nor who has no limit."""
    bench = Bench(limit(burst=10, requests=10, period_seconds=36_000))
    for _ in range(8):
        await bench.ask("per-user")
    assert sample(bench.registry, "gateway_ratelimit_near_limit_total", limit="per-user", tier="user") == 0
    for _ in range(5):
        await bench.ask("per-user")
    bench.overrides.put({"a": LimitOverrides(overrides=(override("alice", "unlimited"),))}, frozenset(), True)
    await bench.ask("per-user")
    assert sample(bench.registry, "gateway_ratelimit_near_limit_total", limit="per-user", tier="user") == 2


def test_the_time_without_the_store_is_counted() -> None:
    """From the start until it is there, and again; an outage that goes on counts as it goes."""
    registry, clock = CollectorRegistry(), Clock()
    metrics = Metrics(registry, clock=clock)

    def seconds() -> float:
        return sample(registry, "gateway_ratelimit_fallback_seconds_total")

    clock.now += 2
    assert seconds() == 2
    for up, passes, expected in ((True, 5, 2), (True, 5, 2), (False, 3, 5), (False, 1, 6), (True, 9, 6)):
        metrics.store_up(up)
        clock.now += passes
        assert seconds() == expected
