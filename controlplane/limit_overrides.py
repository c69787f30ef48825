"""Other amounts for single callers of limits: what the live document says of limits, and what services are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controlplane.model import Gateway, RateLimit
from controlplane.publishing import Kind
from controlplane.store.limit_overrides import LimitOverride
from servicekit.contracts import Amount, LimitOverrides, Override
from servicekit.contracts.limit_callers import counted_as


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimit:
    """One limit of the live document."""

    limit: RateLimit
    routes: tuple[str, ...]
    """Names of those that have it."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What callers are told apart by, in order; nothing where callers can't be named."""
        return self.limit.by if self.limit.enforce == "shared" else ()

    def caller(self, values: Sequence[str]) -> tuple[str, ...]:
        """A caller of this limit, as the service counts it."""
        return tuple(counted_as(by, value) for by, value in zip(self.parts, values, strict=True))


def live_limits(gateway: Gateway | None) -> Iterator[LiveLimit]:
    """Every limit that is live, by name."""
    if gateway is None:
        return
    for limit in sorted(gateway.rate_limits, key=lambda limit: limit.name):
        routes = tuple(route.name for route in gateway.routes if limit.name in route.rate_limits)
        yield LiveLimit(limit=limit, routes=routes)


def _sent(override: LimitOverride, now: datetime) -> Override | None:
    if override.removed_at is not None or (override.expires_at is not None and override.expires_at <= now):
        return None
    return Override(
        id=override.id,
        limit=override.limit,
        caller=override.caller,
        ruling=override.ruling,
        amount=amount_of(override),
        expires_at=None if override.expires_at is None else override.expires_at.timestamp(),
    )


def amount_of(override: LimitOverride) -> Amount | None:
    """How much, where it says so."""
    if override.requests is None or override.period is None or override.burst is None:
        return None
    return Amount(requests=override.requests, period_seconds=override.period, burst=override.burst)


LIMIT_OVERRIDES: Final[Kind[LimitOverride, Override]] = Kind(
    what="limit overrides",
    contract=LimitOverrides,
    sent=_sent,
    part=lambda overrides: LimitOverrides(overrides=overrides),
    index=lambda names: LimitOverrides(parts=names),
)
"""What is published of them."""
