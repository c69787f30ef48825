"""Where endpoints may be that were found in a list: whoever keeps it says where requests go. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from controlplane.discovery.errors import DiscoveryError
from controlplane.model import Endpoint, TargetList

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_endpoints(endpoints: Iterable[Endpoint], rules: TargetList) -> None:
    """Hold endpoints against what the document says of their list.

    Raises:
        DiscoveryError: there are too few of them, or one is where none may be.
    """
    found = tuple(endpoints)
    if len(found) < rules.at_least:
        raise DiscoveryError(f"the list has {len(found)} endpoints, and at_least says {rules.at_least}")
    networks = [ipaddress.ip_network(text) for text in rules.networks]
    outside = sum(not _may_be(endpoint.host, networks) for endpoint in found)
    if outside:
        where = "in networks" if networks else "on another machine that is reached by routing (see networks)"
        raise DiscoveryError(f"{outside} of {len(found)} endpoints are not {where}")


def _may_be(host: str, networks: list[_Network]) -> bool:
    address = _plain(ipaddress.ip_address(host))
    if networks:
        return any(address in network for network in networks)
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def _plain(address: _Ip) -> _Ip:
    """Of an IPv4 address in the clothes of IPv6, what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
