"""Who gets which share of a limit."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimit_service.quota.shares import WHOLE, bucket, shares

demands = st.dictionaries(st.text(max_size=3), st.just(-1.0) | st.floats(0, 1e9), min_size=1, max_size=40)


@given(demands)
def test_shares_are_no_more_than_the_whole(wanted: dict[str, float]) -> None:
    """And everybody has one."""
    given_ = shares(wanted)
    assert given_.keys() == wanted.keys()
    assert sum(given_.values()) <= WHOLE
    assert all(parts >= 1 for parts in given_.values())


@given(demands, st.integers(1, 10**9), st.integers(1, 31_536_000_000), st.integers(1, 10**9))
def test_buckets_are_no_more_than_the_limit(
    wanted: dict[str, float], requests: int, period_ms: int, burst: int
) -> None:
    """All together refill no faster than it, and hold no more, but for one token that everybody has."""
    buckets = [bucket(parts, requests=requests, period_ms=period_ms, burst=burst) for parts in shares(wanted).values()]
    rate = sum(Fraction(one.tokens_per_fill, one.fill_seconds) for one in buckets)
    assert rate <= Fraction(requests * 1000, period_ms)
    assert sum(one.max_tokens for one in buckets) <= burst + len(buckets)
    assert all(0 < one.tokens_per_fill < 2**32 for one in buckets)
    assert all(0 < one.fill_seconds <= 315_576_000_000 for one in buckets), "whole seconds, which a message can say"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"a": 5.0}, {"a": 10_000}),
        ({"a": -1.0, "b": -1.0}, {"a": 5_000, "b": 5_000}),
        ({"a": 0.0, "b": 0.0}, {"a": 5_000, "b": 5_000}),
        ({"a": 30.0, "b": 10.0}, {"a": 7_250, "b": 2_750}),
        ({"a": 10.0, "b": 0.0}, {"a": 9_500, "b": 500}),
        ({"a": 10.0, "b": -1.0}, {"a": 5_000, "b": 5_000}),
    ],
)
def test_who_asks_more_gets_more(wanted: dict[str, float], expected: dict[str, int]) -> None:
    """A tenth is shared equally, the rest by what each asked for; who has not said is taken for one of the others."""
    assert shares(wanted) == expected


def test_a_share_is_exact() -> None:
    """A third of 100 a minute is 100 in three minutes, but for what ten thousand parts can't say."""
    made = bucket(3_333, requests=100, period_ms=60_000, burst=30)
    assert Fraction(made.tokens_per_fill, made.fill_seconds) == Fraction(100 * 3_333, 60 * WHOLE)
    assert made.max_tokens == 9


@given(st.integers(1, WHOLE), st.integers(1, 10**9), st.integers(1000, 10**7))
def test_a_share_is_hardly_less_than_it_should_be(parts: int, requests: int, period_ms: int) -> None:
    """Also where neither a whole number of seconds nor 32 bits of tokens can say it."""
    made = bucket(parts, requests=requests, period_ms=period_ms, burst=1)
    exact = Fraction(requests * parts * 1000, period_ms * WHOLE)
    assert exact * Fraction(999_999, 1_000_000) <= Fraction(made.tokens_per_fill, made.fill_seconds) <= exact


def test_a_share_of_nothing_is_hardly_anything() -> None:
    """Where there are thousands of Envoys, who is asked for nothing gets a token in a long time."""
    wanted = {str(number): float(number == 0) for number in range(2000)}
    assert shares(wanted)["1"] == 0
    made = bucket(0, requests=100, period_ms=1000, burst=10)
    assert Fraction(made.tokens_per_fill, made.fill_seconds) <= Fraction(1, WHOLE)
