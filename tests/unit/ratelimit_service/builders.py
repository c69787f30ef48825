"""Short ways to make the values that the limiter's tests need."""

from __future__ import annotations

from typing import Any, Literal

from prometheus_client import CollectorRegistry

from ratelimit_service.local_store import LocalStore
from ratelimit_service.matching import Descriptor
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.policy import CompiledLimit, PolicyBook
from ratelimit_service.rules.limiter import RuleLimiter
from ratelimit_service.rules.metrics import RuleMetrics
from ratelimit_service.rules.tree import Domains
from ratelimit_service.store import Store
from servicekit.contracts import Limit, LimitPolicy
from servicekit.contracts.limit_policy import Algorithm


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def microseconds(self) -> int:
        """Whole microseconds."""
        return round(self.now * 1_000_000)


def limit(
    name: str = "per-user",
    by: str = "user",
    *,
    algorithm: Algorithm = "token_bucket",
    requests: int = 60,
    period_seconds: float = 60,
    burst: int = 3,
    on_store_failure: Literal["local", "allow", "deny"] = "local",
    **more: Any,
) -> Limit:
    """One limit of a policy: a token a second, three at once, unless told otherwise."""
    return Limit(
        name=name,
        by=by,
        algorithm=algorithm,
        requests=requests,
        period_seconds=period_seconds,
        burst=burst,
        on_store_failure=on_store_failure,
        **more,
    )


def book(*limits: Limit, clock: Clock | None = None, local_share: float = 1.0) -> PolicyBook:
    """A policy book that holds ``limits``."""
    made = PolicyBook(clock=clock or Clock(), local_share=local_share)
    made.apply(LimitPolicy(limits=limits))
    return made


def compiled(one: Limit, *, local_share: float = 1.0) -> CompiledLimit:
    """One limit, compiled."""
    found = book(one, local_share=local_share).find(one.name, one.by)
    assert found is not None
    return found


def descriptor(name: str = "per-user", by: str = "user", caller: str = "alice", hits: int = 1) -> Descriptor:
    """What Envoy sends for one limit of a route."""
    return Descriptor((("limit", name), (by, caller)), hits)


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """A metric's value; 0 where there is none yet."""
    return registry.get_sample_value(name, labels) or 0.0


def rule_limiter(
    domains: Domains, store: Store, clock: Clock | None = None, registry: CollectorRegistry | None = None
) -> RuleLimiter:
    """A limiter that answers by the rules of files."""
    clock = clock or Clock()
    return RuleLimiter(
        rules=lambda: domains,
        store=store,
        local=LocalStore(clock_us=clock.microseconds),
        refused=OverLimitCache(),
        metrics=RuleMetrics(registry or CollectorRegistry()),
        clock=clock,
    )
