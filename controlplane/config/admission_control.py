"""``admission_control`` of an upstream: requests that are refused before it, when too many of those before failed."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.percent import Percent


class AdmissionControl(Section):
    """Chance refuses requests (503), the more of them the fewer succeeded: an upstream that can do half gets about
    half. Each thread of each Envoy judges by the requests that it sent itself."""

    success_rate: Annotated[float, Percent(least=0.01)] = 0.95
    """From this share of successes down; an answer below 500 is one, and in gRPC what the caller has to answer for."""
    window: Annotated[float, Duration(least=1, most=600)] = 30.0
    """The time, in whole seconds, that is looked back on."""
    requests_per_second: int = Field(default=0, ge=0, le=1_000_000)
    """Nothing is refused while there are fewer, on average of the window."""
    max_refused: Annotated[float, Percent(least=0.01)] = 0.8
    """The largest share that is refused; the rest finds out when the upstream is well again."""

    @model_validator(mode="after")
    def _whole_seconds(self) -> Self:
        if self.window % 1:
            raise mistake("window", "the window is a whole number of seconds")
        return self
