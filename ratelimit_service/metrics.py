"""What the limiter counts. Labels are names from the document and fixed words, never a caller."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ratelimit_service.decision import Decision
from ratelimit_service.store import Reason

_STORE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.02)


class Metrics:
    """The families of this process, in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._exceeded = Counter(
            "gateway_rate_limit_exceeded",
            "Requests refused by a rate limit.",
            ["limit", "tier"],
            registry=registry,
        )
        decisions = Counter(
            "gateway_ratelimit_decisions",
            "Requests decided, by outcome and by what decided: the store, the memory of who is over the limit (cache), "
            "this process because the store was away (fallback), an override that needs no counting (override), or "
            "nothing because no limit applied (none).",
            ["outcome", "source"],
            registry=registry,
        )
        self._decisions = {
            (allowed, source): decisions.labels("ok" if allowed else "over_limit", source or "none")
            for allowed in (True, False)
            for source in ("store", "cache", "fallback", "override", None)
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
            if verdict is not None and not verdict.level.fits:
                self._exceeded.labels(verdict.limit.name, verdict.limit.by).inc()

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
