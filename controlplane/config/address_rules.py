"""``addresses`` of a listener or a route: who may come, by IP address."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from controlplane.config.authorization import AddressRange
from controlplane.config.base import Section, mistake
from controlplane.config.texts import Unique

_MOST = 1000


class Addresses(Section):
    """Who may come, by IP address. What is denied is denied even where it is allowed, too."""

    allow: Annotated[list[AddressRange], Unique] = Field(default=[], max_length=_MOST)
    """Addresses and ranges (CIDR) that may; empty is all."""
    deny: Annotated[list[AddressRange], Unique] = Field(default=[], max_length=_MOST)
    """Addresses and ranges that may not."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.allow and not self.deny:
            raise mistake("addresses", "this says nothing", "write allow or deny")
        return self
