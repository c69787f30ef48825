"""Listeners: addresses filled in."""

from __future__ import annotations

import ipaddress

from controlplane.config import GatewayConfig
from controlplane.model import Listener
from controlplane.resolve.draft import Draft


def resolve_listeners(document: GatewayConfig, draft: Draft) -> None:
    """Give each listener its address."""
    for written in document.listeners:
        listener = Listener(
            name=written.name,
            address=str(ipaddress.ip_address(written.address or draft.listen_address)),
            port=written.port,
        )
        draft.listeners.append(listener)
