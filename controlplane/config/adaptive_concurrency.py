"""``adaptive_concurrency`` of a listener: as many requests at a time as are answered in time."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.percent import Percent

_MOST = 1_000_000


class AdaptiveConcurrency(Section):
    """How many requests may be under way at a time goes down while answers take longer than they should, and up while
    they do not; those beyond it get 503 at once. Each Envoy counts for itself, over all routes of the listener."""

    latency: Annotated[float, Duration(least=0.001, most=60)]
    """How long the middle one of the answers (the median of 100 ms) should take at most."""
    tolerance: Annotated[float, Percent()] = 0.25
    """By how much it may take longer before that counts."""
    min: int = Field(default=20, ge=1, le=_MOST)
    """So many are always let through. An Envoy begins with this."""
    max: int = Field(default=1000, ge=1, le=_MOST)
    """Never more than these."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.min:
            raise mistake("concurrency", "max is smaller than min")
        return self
