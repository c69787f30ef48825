"""``rate_limits``: how much a caller may do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controlplane.config.base import Section
from controlplane.config.durations import Duration
from controlplane.config.texts import Name

_MAX_TOKENS = 1_000_000_000


class Tier(Section):
    """How much callers of one tier may do."""

    requests: int = Field(ge=1, le=_MAX_TOKENS)
    """Requests that each caller may make, on average, in the time `per`."""
    per: Annotated[float, Duration(least=1, most=31_536_000)] | None = None
    """The time that `requests` are for; without it, the limit's own."""
    burst: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """Requests at once after a quiet time; without it, as many as `requests`."""


class RateLimit(Section):
    """A token bucket, or windows, for each caller."""

    by: Literal["user", "api_key", "ip"]
    """What a caller is. `user` and `api_key` need a route that authenticates."""
    algorithm: Literal["token_bucket", "fixed_window", "sliding_window"] = "token_bucket"
    """How requests are counted: tokens that flow in evenly; windows that begin with the clock's minutes, hours or days
    (UTC); or such windows of which the last two are weighed together ([which to take](rate-limits.md#algorithms))."""
    requests: int = Field(ge=1, le=_MAX_TOKENS)
    """Requests that each caller may make, on average, in the time `per`."""
    per: Annotated[float, Duration(least=1, most=31_536_000)]
    """The time that `requests` are for."""
    burst: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """Requests at once after a quiet time; without it, as many as `requests`. Only of token buckets."""
    tiers: dict[Name, Tier] = Field(default={}, max_length=50)
    """Other amounts for callers of these tiers (`tier_claim` of a provider). Who has none, or another, has the limit's
    own."""
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    """What decides while Redis does not answer: a bucket in each rate-limit process, yes, or no."""
