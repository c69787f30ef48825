"""Plain values for tests of the cache."""

from __future__ import annotations

from typing import Any

from response_cache.freshness import Lifetime
from response_cache.requests import Asked, Key
from response_cache.store import Answer
from servicekit.contracts.cache_rule import CacheRule


def rule(**changes: Any) -> CacheRule:
    """A rule that keeps what says how long, for nobody who shows credentials."""
    values: dict[str, Any] = {
        "route": "r",
        "generation": "g",
        "max_ttl": 3600,
        "max_body": 1 << 20,
        "patience": 15,
    }
    return CacheRule(**(values | changes))


def asked(*, caller: str = "", headers: dict[str, str] | None = None, method: str = "GET", **changes: Any) -> Asked:
    """A GET."""
    return Asked(
        method=method,
        scheme="http",
        host="shop",
        target="/a?b",
        headers=headers or {},
        caller=caller,
        rule=rule(**changes),
    )


def key(target: str = "/a", caller: str = "") -> Key:
    """Of one route."""
    return Key("r", "g", "http", "shop", target, caller)


def answer(*, size: int = 10, ttl: float = 60, stale_for: float = 0, came_at: float = 0) -> Answer:
    """One with that lifetime."""
    lifetime = Lifetime(ttl=ttl, age=0, stale_for=stale_for)
    return Answer(status=200, headers=(), body=b"", lifetime=lifetime, came_at=came_at, size=size)
