"""From a limit of the policy to the numbers of its buckets, and to the keys that they have."""

from __future__ import annotations

from fractions import Fraction
from hashlib import blake2b

from servicekit.buckets.bucket import MICROSECONDS, shape
from servicekit.buckets.keys import key_seed
from servicekit.buckets.leases import Leases
from servicekit.buckets.window import Form, fixed_window, sliding_window
from servicekit.contracts import Limit
from servicekit.contracts.limit_policy import DOMAIN


def period_us(limit: Limit) -> int:
    """Microseconds of its period."""
    return max(1, round(limit.period_seconds * MICROSECONDS))


def form_of(limit: Limit, share: Fraction = Fraction(1)) -> Form:
    """What its algorithm needs to know, of ``share`` of the limit.

    Raises:
        UnfitLimitError: its bucket would never fill up.
    """
    period = period_us(limit)
    if limit.algorithm == "fixed_window":
        return fixed_window(requests=max(1, int(limit.requests * share)), period_us=period)
    if limit.algorithm == "concurrency":
        return Leases(max(1, int(limit.requests * share)), period)
    if limit.algorithm == "sliding_window":
        return sliding_window(requests=max(1, int(limit.requests * share)), period_us=period)
    return shape(requests=limit.requests * share, period_us=period, burst=max(1, int(limit.burst * share)))


def seed_of(limit: Limit) -> blake2b:
    """What the keys of its buckets begin with; :func:`~servicekit.buckets.keys.bucket_key` adds the caller."""
    return key_seed(DOMAIN, limit.name, limit.by, *_counted_anew(limit))


def _counted_anew(limit: Limit) -> tuple[str, ...]:
    """What can't change without beginning to count anew: tokens stay tokens, but windows end elsewhere."""
    if limit.algorithm == "concurrency":
        return (limit.algorithm,)
    return () if limit.algorithm == "token_bucket" else (limit.algorithm, f"{limit.period_seconds:g}")
