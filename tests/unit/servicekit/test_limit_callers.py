"""How callers of limits are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.contracts.limit_callers import LONGEST, asked_early, counted_as, counted_by, parts_of

parts = st.lists(st.sampled_from(["user", "ip", "path", "header:x-a", "query:q", "claim:org"]), unique=True)


@given(parts)
def test_what_is_joined_comes_apart_again(some: list[str]) -> None:
    """Nothing is everyone."""
    assert parts_of(counted_by(some)) == tuple(some)
    assert counted_by([]) == "everyone"


@pytest.mark.parametrize(
    ("by", "early"),
    [
        ("ip", True),
        ("ip path", True),
        ("ip header:x-a", True),
        ("ip user", False),
        ("ip claim:org", False),
        ("tier ip", False),
        ("path", False),
        ("header:x-user", False),
        ("everyone", False),
    ],
)
def test_who_is_asked_for_before_authentication(by: str, early: bool) -> None:
    """Limits with an address and nothing that authentication finds out."""
    assert asked_early(parts_of(by)) is early


def test_a_path_is_counted_without_its_query() -> None:
    """Also where the query is long: whatever stands there must not make another caller."""
    assert counted_as("path", "/a?b=1") == counted_as("path", "/a?" + "b" * LONGEST) == "/a"
    assert counted_as("header:x", "/a?b") == "/a?b"


@given(st.sampled_from(["path", "header:x", "user", "ip"]), st.text(max_size=3000))
def test_no_name_is_long(part: str, value: str) -> None:
    """Long values have short names, each its own."""
    name = counted_as(part, value)
    assert len(name) <= LONGEST
    assert counted_as(part, name) == name
    assert counted_as("user", value + "x" * LONGEST) != counted_as("user", value + "y" * LONGEST)
