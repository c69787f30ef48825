"""What the limiter counts. Labels are names from the document and fixed words, never a caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from ratelimit_service.decision import Decision
from ratelimit_service.store import Reason
from ratelimit_service.waiting_room import Outcome

_STORE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.02)


_NEAR = 5
"""Less than one such share is little."""


class _Outages(Collector):
    """Seconds for which limits were decided here, those of an outage that goes on included."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended = 0.0
        self._since: float | None = clock()

    def store_up(self, up: bool) -> None:
        """The store has come or gone, or is as it was."""
        if up and self._since is not None:
            self._ended, self._since = self._seconds(), None
        elif not up and self._since is None:
            self._since = self._clock()

    def collect(self) -> Iterator[Metric]:
        """As Prometheus reads it."""
        yield CounterMetricFamily(
            "gateway_ratelimit_fallback_seconds",
            "Seconds without the store, in which limits are decided by this process alone.",
            value=self._seconds(),
        )

    def _seconds(self) -> float:
        return self._ended + (0.0 if self._since is None else self._clock() - self._since)


class Metrics:
    """The families of this process, in ``registry``. ``clock`` is seconds that never go back."""

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._exceeded = Counter(
            "gateway_rate_limit_exceeded",
            "Requests refused by a rate limit.",
            ["limit", "tier"],
            registry=registry,
        )
        shadow = Counter(
            "gateway_ratelimit_shadow_exceeded",
            "Requests that a limit in shadow would have refused.",
            ["limit", "tier"],
            registry=registry,
        )
        degraded = Counter(
            "gateway_ratelimit_degraded",
            "Requests over a limit that lets them through, marked for the upstream.",
            ["limit", "tier"],
            registry=registry,
        )
        self._over = {"refuse": self._exceeded, "queue": self._exceeded, "shadow": shadow, "degrade": degraded}
        waited = Counter(
            "gateway_ratelimit_waited",
            "Requests that were to wait for a token, by what became of them: served, expired, shed for want of room or "
            "for more urgent ones, or given up by their client (gone).",
            ["outcome"],
            registry=registry,
        )
        self._waited = {outcome: waited.labels(outcome) for outcome in get_args(Outcome)}
        self._near = Counter(
            "gateway_ratelimit_near_limit",
            "Requests let through that left less than a fifth of what their limit holds.",
            ["limit", "tier"],
            registry=registry,
        )
        self._outages = _Outages(clock)
        registry.register(self._outages)
        decisions = Counter(
            "gateway_ratelimit_decisions",
            "Requests decided, by outcome and by what decided: the store, the memory of who is over the limit (cache), "
            "this process because the store was away (fallback), an override, a tier or a case that needs no counting "
            "(override), a line in which the request waited in vain (queue), or nothing because no limit applied "
            "(none).",
            ["outcome", "source"],
            registry=registry,
        )
        self._decisions = {
            (allowed, source): decisions.labels("ok" if allowed else "over_limit", source or "none")
            for allowed in (True, False)
            for source in ("store", "cache", "fallback", "override", "queue", None)
        }
        self._unknown = Counter(
            "gateway_ratelimit_unknown_limits",
            "Descriptors that name no limit of the policy; they are let through.",
            registry=registry,
        )
        self._store_seconds = Histogram(
            "gateway_ratelimit_store_seconds",
            "Duration of calls to the store. One call decides many requests.",
            buckets=_STORE_BUCKETS,
            registry=registry,
        )
        self._store_buckets = Counter(
            "gateway_ratelimit_store_buckets",
            "Token buckets that calls to the store asked for.",
            registry=registry,
        )
        self._store_errors = Counter(
            "gateway_ratelimit_store_errors", "Failures of the store.", ["reason"], registry=registry
        )
        self._store_up = Gauge(
            "gateway_ratelimit_store_up", "Whether limits are counted in the store (1) or here (0).", registry=registry
        )
        self._store_up.set(0)

    def decided(self, decision: Decision) -> None:
        """Count one answered request."""
        self._decisions[decision.allowed, decision.source].inc()
        for verdict in decision.verdicts:
            if verdict is None:
                continue
            limit, level = verdict
            if not level.fits:
                self._over[limit.when_exceeded].labels(limit.name, limit.by).inc()
            elif level.remaining * _NEAR < limit.shape.burst:
                self._near.labels(limit.name, limit.by).inc()

    def waited(self, outcome: Outcome) -> None:
        """Count one request that waited."""
        self._waited[outcome].inc()

    def unknown(self, descriptors: int) -> None:
        """Count descriptors that name no limit."""
        if descriptors:
            self._unknown.inc(descriptors)

    def store_answered(self, seconds: float, buckets: int) -> None:
        """Count one call to the store."""
        self._store_seconds.observe(seconds)
        self._store_buckets.inc(buckets)

    def store_failed(self, reason: Reason) -> None:
        """Count one failure of the store."""
        self._store_errors.labels(reason).inc()

    def store_up(self, up: bool) -> None:
        """Note whether the store can be asked."""
        self._store_up.set(up)
        self._outages.store_up(up)
