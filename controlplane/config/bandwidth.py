"""``bandwidth`` of a route: how fast bodies pass."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.sizes import Size

_KIB = 1 << 10
Rate = Annotated[int, Size(least=_KIB, most=1 << 40)]


class Bandwidth(Section):
    """How much of bodies passes in a second, in whole KiB, of all requests of the route together, in each Envoy. What
    is faster waits: nothing is refused."""

    requests: Rate | None = None
    """Of what clients send."""
    responses: Rate | None = None
    """Of what clients get."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.requests is None and self.responses is None:
            raise mistake("bandwidth", "nothing is limited", "add requests or responses")
        for key in ("requests", "responses"):
            if (getattr(self, key) or 0) % _KIB:
                raise mistake("bandwidth", f"{key} is no whole number of KiB", "write it in KiB")
        return self
