"""Resolved gateways for tests: every field has a plain value, and a test names those that it is about."""

from __future__ import annotations

from typing import Any

from controlplane.model import (
    ApiKeyProvider,
    CircuitBreaker,
    Endpoint,
    Forward,
    Gateway,
    HealthCheck,
    JwtProvider,
    Listener,
    PathMatch,
    RateLimit,
    RetryPolicy,
    Route,
    RouteMatch,
    Share,
    Upstream,
)
from controlplane.translate import translate_release
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts.limit_callers import parts_of

NO_RETRY = RetryPolicy(
    attempts=0, conditions=(), per_try_timeout=None, backoff_base=0.025, backoff_max=0.25, methods=()
)


def listener(port: int = 8000, **changes: Any) -> Listener:
    """A listener on loopback."""
    values: dict[str, Any] = {"name": "http", "address": "127.0.0.1", "port": port}
    return Listener(**(values | changes))


def circuit_breaker(**changes: Any) -> CircuitBreaker:
    """Bulkhead limits and no breaker."""
    values: dict[str, Any] = {
        "consecutive_failures": None,
        "open_for": 30.0,
        "max_connections": 1024,
        "max_pending_requests": 1024,
        "max_requests": 1024,
        "max_retries": 3,
    }
    return CircuitBreaker(**(values | changes))


def health_check(**changes: Any) -> HealthCheck:
    """A check every 5 s."""
    values: dict[str, Any] = {
        "path": "/health",
        "interval": 5.0,
        "timeout": 2.0,
        "unhealthy_threshold": 3,
        "healthy_threshold": 2,
    }
    return HealthCheck(**(values | changes))


def upstream(name: str = "resumes", port: int = 8048, **changes: Any) -> Upstream:
    """One endpoint on loopback."""
    values: dict[str, Any] = {
        "name": name,
        "endpoints": (Endpoint(host="127.0.0.1", port=port),),
        "discovery": "static",
        "tls": None,
        "http2": False,
        "load_balancing": "round_robin",
        "connect_timeout": 2.0,
        "health_check": None,
        "circuit_breaker": circuit_breaker(),
    }
    return Upstream(**(values | changes))


def match(path: str = "/", kind: str = "prefix", **changes: Any) -> RouteMatch:
    """A path on every host."""
    values: dict[str, Any] = {
        "path": PathMatch(kind=kind, value=path),  # type: ignore[arg-type]  # tests name the kind in plain text
        "hosts": ("*",),
        "methods": (),
        "headers": (),
    }
    return RouteMatch(**(values | changes))


def route(path: str = "/", kind: str = "prefix", **changes: Any) -> Route:
    """An open route to ``resumes``, called like its path. ``hosts``, ``methods`` and the like go to its match."""
    of_match = {key: changes.pop(key) for key in ("hosts", "methods", "headers", "query", "cookies") if key in changes}
    values: dict[str, Any] = {
        "name": path,
        "match": match(path, kind, **of_match),
        "action": Forward(shares=(Share(upstream=changes.pop("upstream", "resumes"), weight=1),)),
        "authenticate": (),
        "scopes": (),
        "rate_limits": (),
        "timeout": 15.0,
        "retry": NO_RETRY,
    }
    return Route(**(values | changes))


def jwt_provider(name: str = "platform", **changes: Any) -> JwtProvider:
    """Tokens of one issuer, whose subject goes to ``x-user-id``."""
    values: dict[str, Any] = {
        "name": name,
        "issuer": "https://id.example.com",
        "audiences": ("resumes",),
        "algorithms": ("RS256", "ES256", "EdDSA"),
        "jwks_uri": "https://id.example.com/jwks.json",
        "leeway": 30.0,
        "jwks_ttl": 300.0,
        "jwks_stale": 3600.0,
        "forward_claims": {"sub": "x-user-id"},
    }
    return JwtProvider(**(values | changes))


def api_key_provider(name: str = "partners", **changes: Any) -> ApiKeyProvider:
    """One API key, whose id goes to ``x-partner``."""
    values: dict[str, Any] = {
        "name": name,
        "header": "x-api-key",
        "keys": {"acme": "0" * 64},
        "forward_id": "x-partner",
    }
    return ApiKeyProvider(**(values | changes))


def rate_limit(name: str = "per-ip", by: str = "ip", **changes: Any) -> RateLimit:
    """A hundred a minute."""
    values: dict[str, Any] = {
        "name": name,
        "by": parts_of(by),
        "requests": 100,
        "period": 60.0,
        "burst": 100,
        "on_store_failure": "local",
    }
    return RateLimit(**(values | changes))


def gateway(*routes: Route, **changes: Any) -> Gateway:
    """One listener, one upstream, and ``routes`` (without any: all to that upstream)."""
    values: dict[str, Any] = {
        "listeners": (listener(),),
        "upstreams": (upstream(),),
        "routes": routes or (route(),),
        "identity_providers": (),
        "rate_limits": (),
    }
    return Gateway(**(values | changes))


def edge_snapshot(gateway: Gateway) -> Snapshot:
    """What Envoy gets of a gateway whose nodes all get the same."""
    (snapshot,) = translate_release(gateway).groups.values()
    return snapshot
