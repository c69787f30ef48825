"""Listeners: addresses filled in, and no port bound twice."""

from __future__ import annotations

import ipaddress

from controlplane.config import GatewayConfig
from controlplane.model import Listener
from controlplane.resolve.draft import Draft


def resolve_listeners(document: GatewayConfig, draft: Draft) -> None:
    """Give each listener its address."""
    for index, written in enumerate(document.listeners):
        listener = Listener(
            name=written.name,
            address=str(ipaddress.ip_address(written.address or draft.listen_address)),
            port=written.port,
        )
        for other in draft.listeners:
            if other.port == listener.port and _overlap(other.address, listener.address):
                message = f"port {listener.port} is already taken by the listener '{other.name}'"
                draft.refuse(("listeners", index, "port"), "port-conflict", message, "give each its own port")
        draft.listeners.append(listener)


def _overlap(one: str, other: str) -> bool:
    """Whether two sockets on one port of these addresses exclude each other; a wildcard takes every address."""
    return one == other or any(ipaddress.ip_address(address).is_unspecified for address in (one, other))
