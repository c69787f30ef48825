"""``defaults``: what routes have that do not say otherwise."""

from __future__ import annotations

from typing import Annotated

from controlplane.config.base import Section
from controlplane.config.cors import Cors
from controlplane.config.durations import Duration
from controlplane.config.retry import Retry


class Defaults(Section):
    """What routes have that do not say otherwise."""

    timeout: Annotated[float, Duration()] = 15.0
    """How long a whole exchange may take; `0s` is for ever."""
    retry: Retry = Retry()
    """When to send a request again."""
    cors: Cors | None = None
    """Which other origins' pages may use routes from a browser; without it, none."""
