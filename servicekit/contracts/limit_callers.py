"""How a caller of a limit is written: the same for the service that counts and for people who name one."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that make one caller: a single subscriber has at least this much to change at will."""


LONGEST: Final = 1024
"""Characters of one value. A hash stands for longer ones, which would fill memories and the eyes of people."""
EVERYONE: Final = "everyone"
"""How a limit's ``by`` is written that counts all callers together."""

_IDENTITY: Final = ("user", "api_key", "tier", "claim")
_ABSENT: Final = ""
"""The value of a header or a parameter that is not there, or is empty."""


def counted_by(parts: Sequence[str]) -> str:
    """A limit's ``by`` as policies and descriptors have it: ``user``, or ``user header:x-team``."""
    return " ".join(parts) or EVERYONE


def parts_of(by: str) -> tuple[str, ...]:
    """What :func:`counted_by` joined."""
    return () if by == EVERYONE else tuple(by.split(" "))


def asked_early(parts: Sequence[str]) -> bool:
    """Whether a limit is asked for before authentication: it counts addresses, and nothing that is known only then."""
    return "ip" in parts and not any(part.partition(":")[0] in _IDENTITY for part in parts)


def counted_as(part: str, value: str = _ABSENT) -> str:
    """The name under which a caller is counted: of an IPv6 address its network, of a path all before the query, of
    anything else ``value`` itself.

    A network that was written so before stays as it is.
    """
    if part == "path":
        value = value.partition("?")[0]
    if len(value) > LONGEST:
        return "blake2b:" + blake2b(value.encode(errors="replace"), digest_size=16).hexdigest()
    if part != "ip" or ":" not in value:
        return value
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return value
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
