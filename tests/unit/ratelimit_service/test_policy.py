"""Policies in the form that decides, and what happens when they change."""

from __future__ import annotations

import pytest

from ratelimit_service.policy import PolicyError
from servicekit.buckets.bucket import Shape
from servicekit.buckets.window import FIXED, Window
from servicekit.contracts import LimitPolicy, Limits
from servicekit.contracts.limit_policy import Algorithm
from servicekit.retained import GRACE_SECONDS
from tests.unit.ratelimit_service.builders import Clock, book, compiled, limit

WINDOWS: tuple[Algorithm, ...] = ("fixed_window", "sliding_window")


def test_a_limit_that_left_goes_on_for_the_grace_period() -> None:
    """Proxies that still run the old routes are still limited."""
    clock = Clock()
    policies = book(limit(), clock=clock)
    policies.apply(LimitPolicy())
    clock.now += GRACE_SECONDS - 0.1
    assert policies.find("per-user", "user") is not None
    clock.now += 0.2
    assert policies.find("per-user", "user") is None


def test_a_second_change_does_not_shorten_the_grace_period() -> None:
    """What left with the first change is still there after the second, and no longer than it was to be."""
    clock = Clock()
    policies = book(limit("first"), clock=clock)
    policies.apply(LimitPolicy(limits=(limit("second"),)))
    clock.now += GRACE_SECONDS - 10
    policies.apply(LimitPolicy())
    assert policies.find("first", "user") is not None
    clock.now += 15
    assert policies.find("first", "user") is None
    assert policies.find("second", "user") is not None


def test_a_changed_limit_holds_at_once() -> None:
    """The new numbers, not those in their grace period."""
    policies = book(limit(burst=3))
    policies.apply(LimitPolicy(limits=(limit(burst=9),)))
    found = policies.find("per-user", "user")
    assert found is not None
    assert found.shape.burst == 9


def test_a_limit_that_counts_other_callers_now_keeps_the_old_ones_for_a_while() -> None:
    """The routes say which of the two they mean."""
    policies = book(limit(by="user"))
    policies.apply(LimitPolicy(limits=(limit(by="ip"),)))
    assert policies.find("per-user", "user") is not None
    assert policies.find("per-user", "ip") is not None


def test_a_limit_beside_the_policy_holds_as_long_as_it_stands_there() -> None:
    """A node group that was rolled back asks for it; the numbers of one that stands in both are the policy's own."""
    clock = Clock()
    policies = book(clock=clock)
    beside = Limits(limits=(limit("theirs"), limit("both", burst=1)))
    policies.apply(
        LimitPolicy(limits=(limit("both", burst=9),), others=(beside, Limits(limits=(limit("theirs", burst=7),))))
    )
    clock.now += 1e6
    theirs, both = policies.find("theirs", "user"), policies.find("both", "user")
    assert theirs is not None
    assert both is not None
    assert (theirs.shape.burst, both.shape.burst) == (3, 9)
    policies.apply(LimitPolicy(limits=(limit("both", burst=9),)))
    clock.now += GRACE_SECONDS - 0.1
    assert policies.find("theirs", "user") is not None
    clock.now += 0.2
    assert policies.find("theirs", "user") is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ((limit(requests=1, period_seconds=86_400, burst=10**9),), "'per-user'.*never fill up"),
        ((limit(by="user"), limit(by="ip")), "'per-user' stands in the policy twice"),
    ],
)
def test_a_policy_that_cannot_be_enforced_changes_nothing(bad: tuple[object, ...], why: str) -> None:
    """It is refused whole, with the limit's name."""
    policies = book(limit("kept"))
    with pytest.raises(PolicyError, match=why):
        policies.apply(LimitPolicy.model_validate({"limits": bad}))
    assert policies.find("kept", "user") is not None
    assert policies.find("per-user", "user") is None


def test_the_local_bucket_is_the_stated_share() -> None:
    """A quarter of the rate and of the burst, and never less than one token."""
    assert compiled(limit(requests=60, burst=8), local_share=0.25).local_shape == Shape(2, 4_000_000, 1)
    assert compiled(limit(burst=1), local_share=0.25).local_shape.burst == 1


def test_windows_have_all_their_requests_at_once_whatever_the_burst() -> None:
    """Ten a minute in fixed and in sliding windows; this process' share of them is a quarter, and never none."""
    fixed, sliding = (limit(requests=10, algorithm=algorithm) for algorithm in WINDOWS)
    assert compiled(fixed).shape == Window(10, 60_000_000, FIXED)
    assert compiled(sliding).shape == Window(10, 60_000_000, -1)
    assert compiled(fixed, local_share=0.25).local_shape == Window(2, 60_000_000, FIXED)
    assert compiled(sliding, local_share=0.01).local_shape.burst == 1


def test_another_algorithm_or_another_window_begins_anew_and_another_number_does_not() -> None:
    """What a window holds means nothing to a bucket, nor to a window that ends elsewhere."""
    bucket, fixed, hourly, more, sliding = (
        compiled(one).seed.hexdigest()
        for one in (
            limit(),
            limit(algorithm="fixed_window"),
            limit(algorithm="fixed_window", period_seconds=3600),
            limit(algorithm="fixed_window", requests=61),
            limit(algorithm="sliding_window"),
        )
    )
    assert len({bucket, fixed, hourly, sliding}) == 4
    assert more == fixed


@pytest.mark.parametrize(
    ("requests", "seconds", "expected"),
    [
        (100, 60, (100, "MINUTE")),
        (5, 1, (5, "SECOND")),
        (120, 60, (120, "MINUTE")),
        (10, 30, (20, "MINUTE")),
        (60, 30, (2, "SECOND")),
        (7, 604_800, (7, "WEEK")),
        (1, 0.25, (4, "SECOND")),
        (7, 11, (7, "UNKNOWN")),
    ],
)
def test_the_rate_in_envoys_units(requests: int, seconds: float, expected: tuple[int, str]) -> None:
    """The document's own unit where it has one, else one in which the number is whole."""
    found = compiled(limit(requests=requests, period_seconds=seconds))
    assert (found.requests_per_unit, found.unit) == expected
