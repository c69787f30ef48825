"""``rate_limits``: how much a caller may do."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controlplane.config.base import Section, mistake
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

    by: Literal["user", "api_key", "ip", "everyone"]
    """What a caller is. `user` and `api_key` need a route that authenticates; `everyone` is all callers together, and
    needs `enforce: local`."""
    enforce: Literal["shared", "local"] = "shared"
    """Where requests are counted: in Redis, for all Envoys together; or in each Envoy by itself, which asks nobody
    ([what that means](rate-limits.md#in-envoy-itself)). `local` goes with `ip` and `everyone`."""
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

    @model_validator(mode="after")
    def _counted_where_it_can_be(self) -> Self:
        if self.enforce == "shared":
            if self.by == "everyone":
                raise mistake("enforce", "only Envoy itself counts everyone together", "add enforce: local")
            return self
        if self.by not in ("ip", "everyone"):
            raise mistake("enforce", "Envoy counts before it is known who calls", "limit by ip or everyone")
        if self.algorithm != "token_bucket":
            raise mistake("enforce", "Envoy has token buckets and no windows", "remove algorithm")
        for key in ("tiers", "on_store_failure"):
            if key in self.model_fields_set:
                raise mistake("enforce", f"{key} is about limits in Redis", f"remove {key}")
        return self
