"""The arithmetic against fractions: what whole numbers say is what the limit says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.buckets.bucket import (
    EXACT,
    Shape,
    UnfitLimitError,
    fits,
    refilled,
    remaining,
    reshaped,
    shape,
    time_to_fit,
    time_to_full,
)

DAY = 86_400_000_000
ordinary = st.builds(
    shape,
    requests=st.integers(1, 10_000),
    period_us=st.sampled_from([1_000, 250_000, 1_000_000, 30_000_000, 60_000_000, 3_600_000_000]),
    burst=st.integers(1, 1_000),
)


def test_a_hundred_per_minute_is_one_unit_a_microsecond() -> None:
    """The example of the module's own text."""
    assert shape(requests=100, period_us=60_000_000, burst=20) == Shape(20, 600_000, 1)


@given(st.integers(1, 10_000), st.integers(1, 3_600_000_000), st.integers(1, 100))
def test_ordinary_limits_are_exact(requests: int, period_us: int, burst: int) -> None:
    """Tokens per microsecond are the very fraction that was asked for."""
    found = shape(requests=requests, period_us=period_us, burst=burst)
    assert Fraction(found.rate, found.unit) == Fraction(requests, period_us)


@given(st.integers(1, 10**9), st.integers(1, DAY * 366), st.integers(1, 10**9))
def test_no_limit_refills_faster_than_asked_or_leaves_exact_doubles(requests: int, period_us: int, burst: int) -> None:
    """Where a limit has no small unit, the refill is slowed by less than burst / 2**51, and capacities stay exact."""
    try:
        found = shape(requests=requests, period_us=period_us, burst=burst)
    except UnfitLimitError:
        assert burst * Fraction(period_us, requests) > EXACT
        return
    asked, got = Fraction(requests, period_us), Fraction(found.rate, found.unit)
    assert got <= asked
    assert (asked - got) / asked <= Fraction(burst, 2**51)
    assert found.capacity <= EXACT + burst


def test_a_bucket_that_never_fills_is_refused() -> None:
    """A billion tokens at one a day."""
    with pytest.raises(UnfitLimitError, match="never fill up"):
        shape(requests=1, period_us=DAY, burst=10**9)


@given(ordinary, st.data())
def test_waiting_as_long_as_told_is_enough_and_a_microsecond_less_is_not(of: Shape, data: st.DataObject) -> None:
    """``time_to_fit`` and ``time_to_full`` are the first microsecond at which it is so."""
    missing = data.draw(st.integers(0, of.capacity))
    hits = data.draw(st.integers(0, of.burst))
    wait = time_to_fit(missing, hits, of)
    assert fits(refilled(missing, elapsed_us=wait, rate=of.rate), hits, of)
    if wait:
        assert not fits(refilled(missing, elapsed_us=wait - 1, rate=of.rate), hits, of)
    full = time_to_full(missing, of)
    assert refilled(missing, elapsed_us=full, rate=of.rate) == 0
    if full:
        assert refilled(missing, elapsed_us=full - 1, rate=of.rate) > 0


@given(ordinary, ordinary, st.data())
def test_changing_a_limit_gives_nothing_back(old: Shape, new: Shape, data: st.DataObject) -> None:
    """As many tokens are missing after the change as before, or the whole new bucket."""
    missing = data.draw(st.integers(0, old.capacity))
    after = reshaped(missing, old=old, new=new)
    assert 0 <= after <= new.capacity
    if after < new.capacity:
        assert Fraction(after, new.unit) >= Fraction(missing, old.unit)


def test_time_that_runs_backwards_refills_nothing() -> None:
    """A clock set back is no gift."""
    assert refilled(10, elapsed_us=-5, rate=1) == 10


def test_left_over_fractions_of_a_token_are_not_shown() -> None:
    """Remaining is rounded down."""
    of = Shape(2, 10, 1)
    assert [remaining(missing, of) for missing in (0, 1, 10, 11, 20)] == [2, 1, 1, 0, 0]
