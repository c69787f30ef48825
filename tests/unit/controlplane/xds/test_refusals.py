"""How often a refusal is written down."""

from __future__ import annotations

from controlplane.xds.refusals import MOST, WINDOW_SECONDS, Refusals


def test_who_comes_back_is_no_news() -> None:
    """Until an hour has gone by, or the client was taken meanwhile."""
    refusals = Refusals()
    assert [refusals.is_news("a", now) for now in (0, 1, 2)] == [True, False, False]
    assert refusals.is_news("b", 3)
    refusals.is_over("a")
    assert refusals.is_news("a", 4)
    assert refusals.is_news("a", WINDOW_SECONDS)


def test_a_client_with_many_names_fills_no_log() -> None:
    """Nor the memory."""
    refusals = Refusals()
    assert sum(refusals.is_news(str(number), number / 1000) for number in range(10_000)) == MOST
