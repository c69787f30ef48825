"""``proxy_protocol`` of a listener: who the client is, said by a balancer before everything else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controlplane.config.authorization import AddressRange
from controlplane.config.base import Section
from controlplane.config.texts import Unique

_MOST = 1000


class ProxyProtocol(Section):
    """Balancers that pass TCP on and say first whose it is. What they say is the client's address, for limits,
    address rules and the log."""

    balancers: Annotated[list[AddressRange], Unique] = Field(min_length=1, max_length=_MOST)
    """Addresses and ranges (CIDR) of those balancers. Nobody else can connect to the listener."""
    versions: Annotated[list[Literal["v1", "v2"]], Unique] = Field(default=["v1", "v2"], min_length=1)
    """Which versions of the protocol are understood."""
    optional: bool = False
    """Take connections of those balancers that begin without it, too; the client is the balancer then."""
