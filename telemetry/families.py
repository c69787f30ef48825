"""Envoy's samples as the gateway's families: their names, their units, their labels. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from servicekit.contracts.data_plane import (
    ADMIN_LISTENER_STATS,
    ENVOY_ADMIN_STATS,
    LISTENER_STATS,
    RESERVED_PREFIX,
    STAT_DURATION,
    STAT_REQUESTS,
    STATS_PREFIX,
    TAG_LISTENER,
    TAG_UPSTREAM,
    UPSTREAM_STATS,
)
from telemetry.exposition import Family, Sample

_REQUESTS: Final = f"envoy_{STATS_PREFIX}_{STAT_REQUESTS}"
_DURATION: Final = f"envoy_{STATS_PREFIX}_{STAT_DURATION}"
_CONNECTIONS: Final = "envoy_http_downstream_cx_active"
_LISTENER_LABEL: Final = TAG_LISTENER.replace(".", "_")
_CLUSTER_LABEL: Final = TAG_UPSTREAM.replace(".", "_")
_EJECTED: Final = "envoy_cluster_outlier_detection_ejections_active"
_MEMBERS: Final = "envoy_cluster_membership_total"

_LIMITS: Final = {
    "envoy_cluster_circuit_breakers_default_cx_open": "connections",
    "envoy_cluster_circuit_breakers_default_rq_pending_open": "pending_requests",
    "envoy_cluster_circuit_breakers_default_rq_open": "requests",
    "envoy_cluster_circuit_breakers_default_rq_retry_open": "retries",
}
"""Envoy's gauge (1 is open) to the limit of the document's ``circuit_breaker`` that it tells of."""

_FAILURES: Final = "failures"
_MICROSECONDS: Final = 1_000_000

WANTED: Final = frozenset(
    {
        _REQUESTS,
        _CONNECTIONS,
        _EJECTED,
        _MEMBERS,
        *_LIMITS,
        *(_DURATION + part for part in ("_bucket", "_sum", "_count")),
    }
)
"""The samples that :func:`families` reads."""

FILTER: Final = (
    rf"^({STATS_PREFIX}\.({STAT_REQUESTS}|{STAT_DURATION})"
    rf"|http\..*\.({LISTENER_STATS})$|cluster\..*\.({UPSTREAM_STATS})$)"
)
"""A regular expression over Envoy's own stat names that lets through what :func:`families` reads, and little else."""


def families(samples: Iterable[Sample]) -> list[Family]:
    """Four of the five families of the gateway; the fifth is the rate-limit service's."""
    by_name: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_name[sample.name].append(sample)
    return [
        Family(
            "gateway_requests_total",
            "counter",
            "Requests answered, by method, route and status.",
            [sample._replace(name="gateway_requests_total") for sample in by_name[_REQUESTS]],
        ),
        Family(
            "gateway_request_duration_seconds",
            "histogram",
            "Seconds from the first byte of a request to the last of its answer.",
            list(_durations(by_name)),
        ),
        Family(
            "gateway_active_connections",
            "gauge",
            "Client connections that are open now, by listener.",
            list(_connections(by_name[_CONNECTIONS])),
        ),
        Family(
            "gateway_circuit_breaker_state",
            "gauge",
            "Whether a breaker of an upstream is open (1) or closed (0): its limits, and failures in a row.",
            list(_breakers(by_name)),
        ),
    ]


def _durations(by_name: Mapping[str, list[Sample]]) -> Iterator[Sample]:
    name = "gateway_request_duration_seconds"
    for sample in by_name[f"{_DURATION}_bucket"]:
        le = _seconds(sample.labels.get("le", ""))
        if le is not None:
            yield Sample(f"{name}_bucket", {**sample.labels, "le": le}, sample.value)
    for sample in by_name[f"{_DURATION}_sum"]:
        yield Sample(f"{name}_sum", sample.labels, sample.value / _MICROSECONDS)
    for sample in by_name[f"{_DURATION}_count"]:
        yield Sample(f"{name}_count", sample.labels, sample.value)


def _seconds(microseconds: str) -> str | None:
    """The upper bound of a bucket in seconds; ``None`` for what is no number."""
    try:
        bound = float(microseconds) / _MICROSECONDS
    except ValueError:
        return None
    return "+Inf" if bound == float("inf") else f"{bound:g}"


def _connections(samples: Iterable[Sample]) -> Iterator[Sample]:
    for sample in samples:
        listener = sample.labels.get(_LISTENER_LABEL, "")
        if listener and listener != ENVOY_ADMIN_STATS and not listener.startswith(RESERVED_PREFIX):
            name = ENVOY_ADMIN_STATS if listener == ADMIN_LISTENER_STATS else listener
            yield Sample("gateway_active_connections", {"listener": name}, sample.value)


def _breakers(by_name: Mapping[str, list[Sample]]) -> Iterator[Sample]:
    for stat, limit in _LIMITS.items():
        for upstream, value in _by_upstream(by_name[stat]).items():
            yield _breaker(upstream, limit, value > 0)
    ejected = _by_upstream(by_name[_EJECTED])
    for upstream, members in _by_upstream(by_name[_MEMBERS]).items():
        yield _breaker(upstream, _FAILURES, 0 < members <= ejected.get(upstream, 0))


def _breaker(upstream: str, breaker: str, is_open: bool) -> Sample:
    return Sample("gateway_circuit_breaker_state", {"upstream": upstream, "breaker": breaker}, int(is_open))


def _by_upstream(samples: Iterable[Sample]) -> dict[str, float]:
    """Values by upstream; Envoy's clusters for the gateway's own parts are left out."""
    named = ((sample.labels.get(_CLUSTER_LABEL, ""), sample.value) for sample in samples)
    return {cluster: value for cluster, value in named if cluster and not cluster.startswith(RESERVED_PREFIX)}
