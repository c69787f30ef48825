"""Names on which the bootstrap, the snapshot and the readers of Envoy's counters agree."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RESERVED_PREFIX: Final = "gateway."
"""Begins every name that the gateway gives itself; a document's names never begin so."""

XDS_CLUSTER: Final = "gateway.xds"
"""The control plane. In the bootstrap."""

EXT_AUTHZ_CLUSTER: Final = "gateway.ext_authz"
"""The ext_authz service. In the bootstrap."""

RATELIMIT_CLUSTER: Final = "gateway.ratelimit"
"""The rate-limit service. In the bootstrap."""

RESPONSE_CACHE_CLUSTER: Final = "gateway.response_cache"
"""The response cache. In the bootstrap."""

ADMIN_CLUSTER: Final = "gateway.admin"
"""Envoy's own admin interface, behind the health listener. In the bootstrap."""

SYSTEM_CA_SECRET: Final = "gateway.system_ca"  # noqa: S105 - the name of a validation context; nothing secret in it
"""The machine's certificate authorities (a TLS validation context). In the bootstrap."""

HEALTH_LISTENER: Final = "gateway.health"
"""Envoy's own health and metrics listener. In the bootstrap."""

STATS_PREFIX: Final = "gateway"
"""Begins the counters that Envoy makes for us; Prometheus shows them as ``envoy_gateway_…``."""

STAT_REQUESTS: Final = "requests_total"
"""Counter of finished requests with the tags ``method``, ``path`` (the route's name; empty before a route was
found) and ``status``."""

STAT_DURATION: Final = "request_duration_us"
"""Histogram of the microseconds from the first byte received to the last byte sent, with the tags of
:data:`STAT_REQUESTS`. Its buckets are :data:`DURATION_BUCKETS_US`."""

DURATION_BUCKETS_US: Final = (
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
)  # fmt: skip
"""Upper bounds in microseconds: 0.5 ms to a minute."""

TAG_UPSTREAM: Final = "gateway.upstream"
"""Tag of an upstream's figures: its whole name. Envoy's own ends at the first dot, and the rest of the name
becomes part of the figure's."""

TAG_LISTENER: Final = "gateway.listener"
"""Tag of a listener's figures: its whole name, likewise."""

UPSTREAM_STATS: Final = (
    r"membership_total|outlier_detection\.ejections_active"
    r"|circuit_breakers\.default\.(?:cx|rq|rq_pending|rq_retry)_open"
)
"""A regular expression for the figures of an upstream that have :data:`TAG_UPSTREAM`."""

LISTENER_STATS: Final = "downstream_cx_active"
"""A regular expression for the figures of a listener that have :data:`TAG_LISTENER`."""

ENVOY_ADMIN_STATS: Final = "admin"
"""Begins the figures of Envoy's own admin interface."""

ADMIN_LISTENER_STATS: Final = "admin~"
"""Begins those of a listener that the document calls ``admin``. No name in a document holds the sign."""

HEALTH_ROUTE: Final = "gateway.health"
"""Name of the route on which every listener answers ``/health``."""

UNMATCHED_ROUTE: Final = "gateway.unmatched"
"""Name of the route that takes what no route of the document matches."""

HTTPS_REDIRECT_ROUTE: Final = "gateway.https_redirect"
"""Name of the route that sends clients in the clear to HTTPS."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The values of the ``method`` tag, besides :data:`OTHER_METHOD`: a client must not make series."""

OTHER_METHOD: Final = "OTHER"

DEGRADED_HEADER: Final = "x-gateway-degraded"
"""Tells upstreams which limits a request is over that lets it through."""

QUOTA_HEADER: Final = "x-gateway-quota"
"""Says on the way through the filters which quota a request counts for; nobody else gets to see it."""

CLAIMED_HEADERS: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    DEGRADED_HEADER,
    QUOTA_HEADER,
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
)
"""Where a request came from and what it asked for, as a proxy before us would say it, and what we say of it. Envoy
removes them, and writes ``x-forwarded-for`` anew; it reads that one first where a listener trusts proxies."""

REWRITTEN_HEADERS: Final = frozenset({"x-forwarded-for"})
"""Of these, what Envoy writes itself before anything reads the request."""

CLIENT_ADDRESS_HEADER: Final = "x-envoy-external-address"
"""The client's address as Envoy has found it, through as many proxies as the listener trusts. Envoy sets it itself,
after it has removed the client's own."""

ENVOY_HEADER_PREFIX: Final = "x-envoy-"
"""Begins Envoy's own headers, which steer retries and time-outs: removed from what clients send."""

REGEX_PROGRAM_SIZE: Final = 10_000
"""Instructions that a compiled regular expression may have. Envoy's default of 100 refuses alternatives of a dozen
words. The document's authors are trusted with more: with all that they can write without counted repetition."""

RUNTIME: Final[Mapping[str, float]] = MappingProxyType(
    {
        "re2.max_program_size.error_level": float(REGEX_PROGRAM_SIZE),
        "re2.max_program_size.warn_level": float(REGEX_PROGRAM_SIZE),
    }
)
"""Envoy's runtime keys that decide what it takes. In the bootstrap, and in preflight's."""
