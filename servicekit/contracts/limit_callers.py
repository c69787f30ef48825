"""How a caller of a limit is written: the same for the service that counts and for people who name one."""

from __future__ import annotations

import ipaddress
from typing import Final

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that make one caller: a single subscriber has at least this much to change at will."""


def counted_as(by: str, value: str) -> str:
    """The name under which a caller is counted: of an IPv6 address its network, of anything else ``value`` itself.

    A network that was written so before stays as it is.
    """
    if by != "ip" or ":" not in value:
        return value
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return value
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
