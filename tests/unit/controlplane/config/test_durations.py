"""Durations, as text and as seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from controlplane.config.durations import Duration, format_duration

ANY = Duration(least=0, most=10_000 * 3600)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("1.5s", 1.5), ("1m", 60), ("1h", 3600), ("0s", 0), ("0.001s", 0.001)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """Decimals are fine as long as milliseconds stay whole."""
    assert ANY.parse(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "-5s", "+5s", "5S", "1m30s", "1d", "0.5ms", "\u0665s", "5s\n", "1e3s", None, [], True]
)
def test_anything_else_is_refused(text: object) -> None:
    """Signs, spaces, other digits, sums of units and fractions of a millisecond."""
    with pytest.raises(PydanticCustomError):
        ANY.parse(text)


@pytest.mark.parametrize("value", [5, 0.25])
def test_a_bare_number_gets_a_hint(value: float) -> None:
    """Whoever writes ``timeout: 5`` is told both things that it could mean."""
    with pytest.raises(PydanticCustomError) as caught:
        ANY.parse(value)
    assert caught.value.context is not None
    assert caught.value.context["hint"] == f"write {value}s or {value}ms"


@given(st.integers(min_value=0, max_value=10_000_000))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    """For every duration of whole milliseconds."""
    seconds = milliseconds / 1000
    assert ANY.parse(format_duration(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(60, "1m"), (90, "90s"), (0.25, "250ms"), (0, "0s"), (86400, "24h")])
def test_the_largest_unit_that_fits_is_written(seconds: float, text: str) -> None:
    """Defaults in the reference read as a person would write them."""
    assert format_duration(seconds) == text
