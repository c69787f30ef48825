"""What the cache counts. Labels are names from the document and fixed words, never a caller."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from response_cache.flights import Flights
from response_cache.purge_feed import PurgeFeed
from response_cache.store import Store


class Metrics:
    """The families of this process, in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "gateway_cache_requests",
            "Requests to cached routes: answered from memory (hit), by the answer to another one that was under way "
            "(collapsed), by one that is over because the upstream failed (stale), by the upstream (miss) or past the "
            "cache (bypass).",
            ["route", "outcome"],
            registry=registry,
        )
        self._faults = Counter(
            "gateway_cache_faults", "Requests that this process failed; their upstream got them.", registry=registry
        )

    def watch(self, store: Store, flights: Flights) -> None:
        """Tell how full ``store`` is, and how many wait for ``flights``."""
        for name, meaning, read in (
            ("gateway_cache_bytes", "Bytes of the answers in memory.", lambda: store.bytes),
            ("gateway_cache_capacity_bytes", "Bytes that may be there.", lambda: store.capacity),
            ("gateway_cache_answers", "Answers in memory.", lambda: len(store)),
            ("gateway_cache_waiting", "Requests that wait for the answer to another one.", lambda: flights.waiting),
            ("gateway_cache_evicted", "Answers that had to make room, since the start.", lambda: store.evicted),
        ):
            Gauge(name, meaning, registry=self._registry).set_function(read)

    def watch_purges(self, feed: PurgeFeed) -> None:
        """Tell whether purges are heard of."""
        meaning = "Seconds since purges were last asked for with success; infinite before the first time."
        Gauge("gateway_cache_purges_age_seconds", meaning, registry=self._registry).set_function(lambda: feed.age)

    def request(self, route: str, outcome: str) -> None:
        """Count one request."""
        self._requests.labels(route, outcome).inc()

    def fault(self) -> None:
        """Count one that went wrong."""
        self._faults.inc()
