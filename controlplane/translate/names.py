"""Every name of an Envoy resource: they read like the document's own.

What the document names keeps its name (a cluster is called like its upstream, a route like its route). What the
gateway adds begins with ``gateway.``, which no name in a document may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from servicekit.contracts.data_plane import ADMIN_LISTENER_STATS, ENVOY_ADMIN_STATS, RESERVED_PREFIX

ROUTES: Final = "routes"
"""The one ``RouteConfiguration``, which all listeners share."""

POLICY: Final = "default"
"""The one ``AuthPolicy`` and the one ``LimitPolicy``."""

RESPONSE_CLEANING_FILTER: Final = RESERVED_PREFIX + "response_cleaning"
"""What tells of the inside."""

ADDRESS_RULES_FILTER: Final = "envoy.filters.http.rbac"

ADAPTIVE_CONCURRENCY_FILTER: Final = "envoy.filters.http.adaptive_concurrency"

CSRF_FILTER: Final = "envoy.filters.http.csrf"

GRPC_WEB_FILTER: Final = "envoy.filters.http.grpc_web"

CORS_FILTER: Final = "envoy.filters.http.cors"

EXT_AUTHZ_FILTER: Final = "envoy.filters.http.ext_authz"
"""Also the namespace of the metadata that the service answers with."""

EARLY_RATELIMIT_FILTER: Final = RESERVED_PREFIX + "ratelimit.early"
"""Limits that need no identity. A name of our own, for one type of filter stands twice in the chain and a route
configures each by its name."""

QUOTA_MARK_FILTER: Final = RESERVED_PREFIX + "quota_mark"
QUOTA_FILTER: Final = "envoy.filters.http.rate_limit_quota"
LOCAL_RATELIMIT_FILTER: Final = "envoy.filters.http.local_ratelimit"

LATE_RATELIMIT_FILTER: Final = RESERVED_PREFIX + "ratelimit.late"
"""Limits that need the identity."""

CACHE_FILTER: Final = RESERVED_PREFIX + "cache"
"""Asks the response cache. A name of our own, for the type of filter is a general one."""

BUFFER_FILTER: Final = "envoy.filters.http.buffer"
CUSTOM_RESPONSE_FILTER: Final = "envoy.filters.http.custom_response"
ROUTER_FILTER: Final = "envoy.filters.http.router"

_DISCOVERED: Final = "/discovered/"
"""No name in a document holds a slash."""


def bandwidth_filter(direction: str) -> str:
    """The filter for bodies of this direction."""
    return f"{RESERVED_PREFIX}bandwidth.{direction}"


def waiting_filter(seconds: float) -> str:
    """The filter of limits that let requests wait for so long."""
    return f"{RESERVED_PREFIX}ratelimit.waiting.{seconds:g}s"


def compressor_filter(algorithm: str) -> str:
    """The filter that compresses in this way; one type of filter stands several times in the chain."""
    return f"{RESERVED_PREFIX}compressor.{algorithm}"


def fallback_chain(upstreams: Iterable[str]) -> str:
    """The cluster of an upstream and those that stand in for it. No name in a document holds the sign."""
    return "+".join(upstreams)


def https_redirects(port: int, status: int) -> str:
    """The ``RouteConfiguration`` of listeners that send clients to HTTPS."""
    return f"{RESERVED_PREFIX}https_redirects.{port}.{status}"


def listener(name: str) -> str:
    """The listener."""
    return name


def listener_stats(name: str) -> str:
    """The prefix of a listener's statistics."""
    return ADMIN_LISTENER_STATS if name == ENVOY_ADMIN_STATS else name


def certificate(listener: str, position: int) -> str:
    """The secret that says where one of a listener's certificates and its key lie."""
    return f"{listener}/certificate/{position}"


def client_authorities(listener: str) -> str:
    """The secret that says where the authorities of a listener's clients lie."""
    return f"{listener}/client_authorities"


def upstream_authorities(upstream: str) -> str:
    """The secret that says where the authorities of an upstream's endpoints lie."""
    return f"{upstream}/upstream_authorities"


def client_certificate(upstream: str) -> str:
    """The secret that says where the certificate lies that an upstream is shown, and its key."""
    return f"{upstream}/client_certificate"


def cluster(upstream: str) -> str:
    """The cluster of an upstream, and its ``ClusterLoadAssignment``."""
    return upstream


def discovered(upstream: str, place: str) -> str:
    """The ``ClusterLoadAssignment`` of an upstream whose endpoints are listed at ``place``, which it does not show: a
    URL may hold a secret."""
    return f"{upstream}{_DISCOVERED}{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def is_discovered(assignment: str) -> bool:
    """Whether the endpoints of this ``ClusterLoadAssignment`` are not known when it is translated."""
    return _DISCOVERED in assignment


def virtual_host(domain: str) -> str:
    """The virtual host of one host pattern."""
    return domain
