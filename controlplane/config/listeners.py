"""``listeners``: where clients connect."""

from __future__ import annotations

from pydantic import Field

from controlplane.config.base import Section
from controlplane.config.texts import IpAddress, Name


class Listener(Section):
    """A port that clients connect to. Every route that a node serves, it serves on each of its listeners."""

    name: Name
    """Its name in logs and metrics."""
    port: int = Field(ge=1, le=65535)
    """TCP port."""
    address: IpAddress | None = None
    """IP address to bind; without it, the process setting `GATEWAY_LISTEN_ADDRESS` decides (loopback unless told
    otherwise)."""
