"""What the limits of one request come to."""

from __future__ import annotations

from ratelimit_service.decision import Verdict, decide
from servicekit.buckets.takes import Level
from tests.unit.ratelimit_service.builders import compiled, limit

A, B = compiled(limit("a")), compiled(limit("b"))


def test_one_refusal_refuses_and_the_longest_wait_is_told() -> None:
    """The caller hears of the limit that will hold it back last."""
    verdicts = [Verdict(A, Level(False, 0, 5)), None, Verdict(B, Level(False, 2, 9)), Verdict(A, Level(True, 0, 99))]
    decision = decide(verdicts, "store")
    assert not decision.allowed
    assert decision.tightest is verdicts[2]
    assert decision.verdicts == verdicts


def test_the_limit_with_least_left_is_told() -> None:
    """Among equals, the one that takes longest to fill up."""
    verdicts = [Verdict(A, Level(True, 3, 1)), Verdict(A, Level(True, 1, 5)), Verdict(B, Level(True, 1, 7))]
    decision = decide(verdicts, "store")
    assert decision.allowed
    assert decision.tightest is verdicts[2]


def test_without_limits_there_is_nothing_to_tell() -> None:
    """Allowed, and no figures."""
    decision = decide([None, None], None)
    assert decision.allowed
    assert decision.tightest is None
