"""What is counted of lists of endpoints."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from controlplane.discovery.follower import Standing


class DiscoveryMetrics:
    """Metrics by upstream."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reads = Counter(
            "gateway_discovery_reads",
            "Readings of lists of endpoints: changed, unchanged, failed.",
            ["upstream", "outcome"],
            registry=registry,
        )
        self._endpoints = Gauge(
            "gateway_discovery_endpoints", "Endpoints of the last good list.", ["upstream"], registry=registry
        )
        self._good_at = Gauge(
            "gateway_discovery_good_timestamp_seconds",
            "When the list was last seen to be good; 0 for never.",
            ["upstream"],
            registry=registry,
        )

    def note(self, standing: Standing, outcome: str) -> None:
        """A list was read."""
        name = standing.upstream
        self._reads.labels(name, outcome).inc()
        self._endpoints.labels(name).set(len(standing.endpoints or ()))
        self._good_at.labels(name).set(standing.good_at.timestamp() if standing.good_at else 0)

    def forget(self, upstream: str) -> None:
        """It has no list any more."""
        for outcome in ("changed", "unchanged", "failed"):
            self._drop(self._reads, upstream, outcome)
        self._drop(self._endpoints, upstream)
        self._drop(self._good_at, upstream)

    @staticmethod
    def _drop(metric: Counter | Gauge, *labels: str) -> None:
        metric.labels(*labels)  # what was never set can't be removed
        metric.remove(*labels)
