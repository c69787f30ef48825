"""The arithmetic of a token bucket, in whole numbers only.

A bucket is described by how much is *missing* from it. Missing amounts are counted in units so small that both one
token and the refill of one microsecond are whole numbers of them: 100 requests per minute are 600,000 units a token
and 1 unit a microsecond. Nothing is ever rounded, except when a limit is compiled whose numbers have no such unit
below 2**52 (see :func:`shape`), and when a result is shown: remaining tokens are rounded down, times up.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import NamedTuple

MICROSECONDS = 1_000_000
EXACT = 2**52
"""Largest capacity in units. Lua counts in doubles, which are exact to 2**53: room for one sum of two capacities."""


class Shape(NamedTuple):
    """One limit's bucket. A ``NamedTuple`` because stores compare and unpack it for every request."""

    burst: int
    """Tokens that fit in."""
    unit: int
    """Units in a token."""
    rate: int
    """Units that flow in per microsecond."""

    @property
    def capacity(self) -> int:
        """Units that fit in."""
        return self.burst * self.unit


class UnfitLimitError(Exception):
    """A limit whose bucket would take longer than 140 years to fill."""


def shape(*, requests: Fraction | int, period_us: int, burst: int) -> Shape:
    """The bucket into which ``requests`` tokens flow per ``period_us`` microseconds and that holds ``burst``.

    Exact when ``burst`` times the units of a token stay below 2**52, as they do for every ordinary limit. Otherwise the
    refill is slowed by less than ``burst / 2**51`` of itself: never faster than asked for.

    Raises:
        UnfitLimitError: filling the bucket would take more than 2**52 microseconds.
    """
    interval = Fraction(period_us) / requests
    if burst * interval > EXACT:
        raise UnfitLimitError(f"{burst} tokens at {float(1 / interval * MICROSECONDS):.3g} a second never fill up")
    if burst * interval.numerator > EXACT:
        rate = int(EXACT // (burst * interval))
        interval = Fraction(ceil(interval * rate), rate)
    return Shape(burst, interval.numerator, interval.denominator)


def refilled(missing: int, *, elapsed_us: int, rate: int) -> int:
    """What is still missing after ``elapsed_us`` microseconds. Time that runs backwards refills nothing."""
    return max(0, missing - max(0, elapsed_us) * rate)


def reshaped(missing: int, *, old: Shape, new: Shape) -> int:
    """What is missing from a bucket whose limit was changed: the tokens taken stay taken, rounded up."""
    return min(-(-missing * new.unit // old.unit), new.capacity)


def remaining(missing: int, of: Shape) -> int:
    """Whole tokens left."""
    return (of.capacity - missing) // of.unit


def fits(missing: int, hits: int, of: Shape) -> bool:
    """Whether ``hits`` tokens can be taken. No hits are a peek: whether one could be."""
    return missing + max(hits, 1) * of.unit <= of.capacity


def time_to_full(missing: int, of: Shape) -> int:
    """Microseconds until nothing is missing, rounded up."""
    return -(-missing // of.rate)


def time_to_fit(missing: int, hits: int, of: Shape) -> int:
    """Microseconds until ``hits`` tokens are there, rounded up; for more than ever fit, until the bucket is full."""
    need = min(max(hits, 1), of.burst) * of.unit
    return max(0, -(-(missing + need - of.capacity) // of.rate))
