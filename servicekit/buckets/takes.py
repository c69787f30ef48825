"""What is asked of buckets, and what they say. ``NamedTuple``, since some are made for every request."""

from __future__ import annotations

from typing import NamedTuple

from servicekit.buckets.window import Form


class Take(NamedTuple):
    """One wish of a request: ``hits`` tokens from one bucket, or places in one window; 0 only looks. Less than that is
    :func:`charge`."""

    key: bytes
    shape: Form
    hits: int


class Level(NamedTuple):
    """What one bucket says to one :class:`Take`."""

    fits: bool
    """Whether this bucket would let the request through. Tokens were taken only if all buckets of the request do."""
    remaining: int
    """Whole tokens left after the decision."""
    reset_us: int
    """Microseconds until the bucket is full again or the window over; if it does not fit, until it would."""


def charge(hits: int) -> int:
    """The :attr:`Take.hits` of tokens that were used up already: they are taken as far as they are there, and nothing
    is refused."""
    return -max(hits, 0)
