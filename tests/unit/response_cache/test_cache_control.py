"""How cache-control is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from response_cache import cache_control


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", {}),
        ("max-age=60", {"max-age": "60"}),
        ("Public , MAX-AGE = 60,,s-maxage=5", {"public": "", "max-age": "60", "s-maxage": "5"}),
        ('private="set-cookie, x", max-age=1', {"private": "set-cookie, x", "max-age": "1"}),
        ("max-age=60, max-age=5, max-age=70", {"max-age": "5"}),
        ('no-store="', {"no-store": ""}),
        ("max-age=60 no-store", {"max-age": "60"}),
        ("@, no-store", {"no-store": ""}),
        ("max-age=60," + 4096 * " ", {"no-store": ""}),
    ],
)
def test_directives(text: str, meaning: dict[str, str]) -> None:
    """Names in lower case; of numbers the smallest."""
    assert cache_control.parse(text) == meaning


@pytest.mark.parametrize(
    ("argument", "seconds"), [("60", 60), ("", 0), ("-1", 0), ("1.5", 0), ("9" * 30, cache_control.FOR_EVER), ("٣", 0)]
)
def test_seconds(argument: str, seconds: int) -> None:
    """What can't be read keeps nothing."""
    assert cache_control.seconds({"max-age": argument}, "max-age") == seconds


def test_no_such_directive() -> None:
    """Nothing is not 0."""
    assert cache_control.seconds({}, "max-age") is None


@given(st.text(max_size=200))
def test_whatever_comes(text: str) -> None:
    """Any text is read, in lower case, and never as less than nothing."""
    found = cache_control.parse(text)
    assert all(name == name.lower() for name in found)
    assert all(0 <= (cache_control.seconds(found, name) or 0) <= cache_control.FOR_EVER for name in found)


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_store_is_found(before: str, after: str) -> None:
    """Whatever stands around it, as long as no quotes are open."""
    before, after = before.replace('"', ""), after.replace('"', "")
    assert "no-store" in cache_control.parse(f"{before},no-store,{after}")
