"""The addresses that a run needs, and whether they can be had."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from servicekit.address import Address


@dataclass(frozen=True, slots=True)
class Claim:
    """One address that something of ours will bind."""

    address: Address
    what: str
    """Who binds it."""
    change: str
    """What to change so that it binds another: a setting, or a place in the document."""


def conflicts(claims: Sequence[Claim]) -> list[str]:
    """One line for each address that can't be had, naming the port and what to change. Pure but for trying to bind."""
    return [*_among_themselves(claims), *filter(None, map(_with_others, claims))]


def _among_themselves(claims: Sequence[Claim]) -> list[str]:
    lines = []
    for index, one in enumerate(claims):
        for other in claims[:index]:
            if one.address.port == other.address.port and _overlap(one.address.host, other.address.host):
                lines.append(
                    f"port {one.address.port} is wanted twice: by {other.what} and by {one.what}. Change {one.change}."
                )
    return lines


def _overlap(one: str, other: str) -> bool:
    return one == other or any(host in ("0.0.0.0", "::") for host in (one, other))  # noqa: S104  only compared


def _with_others(claim: Claim) -> str | None:
    address = claim.address
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections that have just closed don't count; not SO_REUSEPORT, with which
        # two Envoys would share a port and neither would notice.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            return _why(claim, error)
    return None


def _why(claim: Claim, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {claim.address.port} is in use, and {claim.what} needs it. Change {claim.change}."
    return f"{claim.what} cannot listen on {claim.address}: {error.strerror}. Change {claim.change}."
