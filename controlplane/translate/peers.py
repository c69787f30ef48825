"""Which peers a filter chain is for, as ranges: what is allowed without what is denied."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from envoy.config.core.v3.address_pb2 import CidrRange

from controlplane import model
from controlplane.translate.address_rules import cidr

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_EVERYBODY: Final = ("0.0.0.0/0", "::/0")
_NOBODY: Final = "255.255.255.255/32"


def peers(source: model.Listener) -> list[CidrRange]:
    """Who may connect to ``source``; empty is everybody."""
    if source.addresses is None and source.proxy_protocol is None:
        return []
    rules = source.addresses or model.AddressRules()
    wanted = _networks(source.proxy_protocol.balancers if source.proxy_protocol is not None else _EVERYBODY)
    allowed = _networks(rules.allow or _EVERYBODY)
    both = {common for one in allowed for other in wanted if (common := _common(one, other)) is not None}
    denied = _networks(rules.deny)
    left = [str(one) for network in sorted(both, key=str) for one in _without(network, denied)]
    return [cidr(text) for text in left or [_NOBODY]]


def _networks(texts: Sequence[str]) -> list[_Network]:
    return [ipaddress.ip_network(text) for text in texts]


def _overlap(one: _Network, other: _Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _common(one: _Network, other: _Network) -> _Network | None:
    if not _overlap(one, other):
        return None
    return one if one.prefixlen >= other.prefixlen else other


def _without(network: _Network, denied: Sequence[_Network]) -> Iterator[_Network]:
    """The largest ranges of ``network`` in which nobody is denied."""
    inside = [one for one in denied if _overlap(one, network)]
    if not inside:
        yield network
    elif all(one.prefixlen > network.prefixlen for one in inside):
        for half in network.subnets():
            yield from _without(half, inside)
