"""The arithmetic of requests in flight: each holds a lease from when it comes until it is over, and no longer than that
may last.

A request names its lease by a number. Requests that name the same one (an identifier that a client repeats) hold
neighbouring numbers, so that each counts, and each that ends gives one back.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

LEASES: Final = -(2**52)
"""The third number of these, by which the script knows them. No step of a window is as long."""
NEIGHBOURS: Final = 64
"""Requests that may name the same lease at a time; of more than these none gives its own back."""

_FIRST: Final = 2
_BITS: Final = 50


class Leases(NamedTuple):
    """One limit's leases. Three numbers, as the forms of other algorithms."""

    burst: int
    """Requests in flight."""
    lease_us: int
    """Microseconds after which a request counts as over."""
    kind: int = LEASES


Held = tuple[tuple[int, int], ...]
"""Numbers of leases and when they end, in microseconds, as they were taken."""


def lease_number(name: str) -> int:
    """The number of a lease: the hits of a request that takes it; less than 0, of one that gives it back."""
    return _FIRST + (
        int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest(), "big") >> (64 - _BITS)
    )


def held_at(held: Held, now_us: int) -> Held:
    """Those that have not ended."""
    return tuple(one for one in held if one[1] > now_us)


def taken(held: Held, number: int, now_us: int, of: Leases) -> Held:
    """With one more, at the first number that is free."""
    numbers = {one for one, _ in held}
    free = next((one for one in range(number, number + NEIGHBOURS) if one not in numbers), None)
    return held if free is None else (*held, (free, now_us + of.lease_us))


def given_back(held: Held, number: int) -> Held:
    """With one less, that of the last neighbour; none where it was not there."""
    neighbours = [one for one, _ in held if number <= one < number + NEIGHBOURS]
    last = max(neighbours, default=None)
    return tuple(one for one in held if one[0] != last)
