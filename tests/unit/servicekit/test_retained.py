"""What left the policy goes on for a while, within bounds."""

from __future__ import annotations

from servicekit.retained import Retained


def test_what_left_goes_on_within_a_bound() -> None:
    """What left last is kept; what stands beside the current policy always is."""
    table: Retained[str, int] = Retained(grace=10, most=2)
    others = {"other 1": 0, "other 2": 0}
    table.follow(before={"a": 1}, current={"b": 1}, others=others, now=0)
    assert table.get("a", 9.9) == 1
    assert table.get("a", 10) is None
    table.follow(before={"b": 1}, current={"c": 1}, others=others, now=1)
    table.follow(before={"c": 1}, current={"d": 1}, others=others, now=2)
    assert [table.get(name, 3) for name in ("a", "b", "c", "d")] == [None, 1, 1, None]
    assert [table.get(name, 3) for name in others] == [0, 0]
