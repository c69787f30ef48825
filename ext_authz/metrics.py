"""What ext_authz counts. Plain numbers on the hot path; they become Prometheus families when they are scraped."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ext_authz.key_state import KeyState
from ext_authz.revocation_feed import RevocationFeed

BUCKETS: Final = (0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Upper bounds in seconds: most checks take tens of microseconds, the last ones wait for an identity provider."""


class Metrics(Collector):
    """The numbers of one process.

    Label values are names of the document and words of this program, never anything that a client sent.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key_states: Callable[[], Iterable[KeyState]] = tuple
        self._cache: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._entries: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._revocations: RevocationFeed | None = None
        self._checks: Counter[tuple[str, str, str]] = Counter()
        self._fetches: Counter[tuple[str, str]] = Counter()
        self._refreshes: Counter[tuple[str, str]] = Counter()
        self._introspections: Counter[tuple[str, str]] = Counter()
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def watch(
        self,
        *,
        key_states: Callable[[], Iterable[KeyState]],
        cache: Callable[[], tuple[int, int]],
        entries: Callable[[], tuple[int, int]],
        revocations: RevocationFeed | None,
    ) -> None:
        """Read these when metrics are asked for; ``cache`` gives hits and misses, ``entries`` accepted and refused."""
        self._revocations = revocations
        self._key_states = key_states
        self._cache = cache
        self._entries = entries

    def check(self, provider: str, outcome: str, reason: str, seconds: float) -> None:
        """Count one check. ``outcome`` is ``allow``, ``deny``, ``unavailable`` or ``error``."""
        self._checks[provider, outcome, reason] += 1
        self._buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def fetch(self, provider: str, outcome: str) -> None:
        """Count one attempt to fetch keys: ``success`` or ``failure``."""
        self._fetches[provider, outcome] += 1

    def refresh(self, provider: str, outcome: str) -> None:
        """Count one exchange of a refresh token: ``success``, ``refused`` or ``failure``."""
        self._refreshes[provider, outcome] += 1

    def introspection(self, provider: str, outcome: str) -> None:
        """Count one introspection: ``active``, ``inactive`` or ``failure``."""
        self._introspections[provider, outcome] += 1

    def collect(self) -> Iterator[Metric]:
        """All families, for Prometheus."""
        yield self._check_family()
        yield self._latency_family()
        yield from self._cache_families()
        yield from self._key_families()
        yield _by_provider(
            "gateway_auth_token_refreshes", "Refresh tokens that were exchanged, by what came out.", self._refreshes
        )
        yield _by_provider(
            "gateway_auth_introspections", "Tokens that their issuer was asked about.", self._introspections
        )
        if self._revocations is not None:
            yield from _revocation_families(self._revocations)

    def _check_family(self) -> Metric:
        family = CounterMetricFamily(
            "gateway_auth_checks",
            "Checks by who vouched, what came out and why.",
            labels=["provider", "outcome", "reason"],
        )
        for (provider, outcome, reason), count in self._checks.items():
            family.add_metric([provider or "none", outcome, reason], count)
        return family

    def _latency_family(self) -> Metric:
        buckets, total = [], 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self._buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return HistogramMetricFamily(
            "gateway_auth_check_duration_seconds",
            "Time from request to answer.",
            buckets=buckets,
            sum_value=self._seconds,
        )

    def _cache_families(self) -> Iterator[Metric]:
        hits, misses = self._cache()
        family = CounterMetricFamily(
            "gateway_auth_cache_lookups", "Look-ups in the validation cache.", labels=["outcome"]
        )
        family.add_metric(["hit"], hits)
        family.add_metric(["miss"], misses)
        yield family
        held = GaugeMetricFamily("gateway_auth_cache_entries", "Credentials remembered now.", labels=["outcome"])
        for outcome, count in zip(("allow", "deny"), self._entries(), strict=True):
            held.add_metric([outcome], count)
        yield held

    def _key_families(self) -> Iterator[Metric]:
        fetches = CounterMetricFamily(
            "gateway_auth_key_fetches", "Attempts to fetch keys.", labels=["provider", "outcome"]
        )
        for (provider, outcome), count in self._fetches.items():
            fetches.add_metric([provider, outcome], count)
        yield fetches
        age = GaugeMetricFamily("gateway_auth_key_age_seconds", "Age of the keys in use.", labels=["provider"])
        keys = GaugeMetricFamily("gateway_auth_keys", "Keys that may be used now.", labels=["provider"])
        now = self._clock()
        for provider, state in {state.source.provider: state for state in self._key_states()}.items():
            current = state.current(now)
            keys.add_metric([provider], len(current.keys) if current is not None else 0)
            if state.fetched_at is not None:
                age.add_metric([provider], now - state.fetched_at)
        yield from (age, keys)


def _by_provider(name: str, meaning: str, counts: Mapping[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=["provider", "outcome"])
    for (provider, outcome), count in counts.items():
        family.add_metric([provider, outcome], count)
    return family


def _revocation_families(feed: RevocationFeed) -> Iterator[Metric]:
    yield GaugeMetricFamily("gateway_auth_revocations", "Revocations that are known.", value=feed.known)
    age = GaugeMetricFamily(
        "gateway_auth_revocations_age_seconds", "Time since the revocations were as the store has them."
    )
    if feed.age is not None:
        age.add_metric([], feed.age)
    yield age
    failures = "Questions about revocations that the store did not answer."
    yield CounterMetricFamily("gateway_auth_revocation_failures", failures, value=feed.failures)
