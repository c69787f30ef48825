"""Claims as request headers."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.forwarding import MAX_VALUE_LENGTH, ForwardedClaim, forwarded_headers, header_value

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT | st.lists(TEXT) | st.dictionaries(TEXT, TEXT))
def test_no_claim_breaks_out_of_its_header(value: object) -> None:
    """Visible ASCII and inner spaces only: no line break, no control character, no trailing blank."""
    text = header_value(value)
    assert text.isascii()
    assert text.isprintable()
    assert text == text.strip()


@given(TEXT)
def test_text_comes_back_by_percent_decoding(value: str) -> None:
    """Nothing is lost, and nothing can pose as something encoded."""
    assert unquote(header_value(value)) == value


@given(st.lists(TEXT, min_size=1))
def test_arrays_come_back_by_splitting_first(values: list[str]) -> None:
    """A comma inside an element is never a separator: a group called ``a,admin`` is not two groups."""
    assert [unquote(part) for part in header_value(values).split(",")] == values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("alice", "alice"),
        ("auth0|5f7c", "auth0|5f7c"),
        ("Alice Smith, PhD", "Alice Smith, PhD"),
        ("a@example.com", "a@example.com"),
        ("100%", "100%25"),
        ("x\r\nx-admin: 1", "x%0D%0Ax-admin: 1"),
        ("café", "caf%C3%A9"),
        (" a ", "%20a%20"),
        ("", ""),
        (42, "42"),
        (True, "true"),
        (1.5, "1.5"),
        (["a", "b"], "a,b"),
        (["a,b", 1, None], "a%2Cb,1,null"),
        ([], ""),
        ({"a": ["é"]}, '{"a":["\\u00e9"]}'),
    ],
)
def test_the_stated_forms(value: object, text: str) -> None:
    """What the reference says of each kind of claim."""
    assert header_value(value) == text


def test_a_name_wins_over_a_path() -> None:
    """``a.b`` is first a claim of that name, then ``b`` inside of ``a``."""
    claim = ForwardedClaim("a.b", "x")
    assert claim.value_in({"a.b": 1, "a": {"b": 2}}) == 1
    assert claim.value_in({"a": {"b": 2}}) == 2
    assert claim.value_in({"a": "text"}) is None
    assert claim.value_in({"a": {"c": 2}}) is None


def test_names_that_are_urls_have_dots() -> None:
    """Namespaced claims are found by their exact name."""
    url = "https://example.com/roles"
    assert ForwardedClaim(url, "x").value_in({url: ["a"]}) == ["a"]


def test_only_what_is_there_is_set() -> None:
    """An absent claim sets no header; a null one neither."""
    wanted = (ForwardedClaim("sub", "x-user-id"), ForwardedClaim("email", "x-email"), ForwardedClaim("no", "x-no"))
    assert forwarded_headers({"sub": "alice", "no": None}, wanted) == {"x-user-id": "alice"}


def test_what_no_header_can_hold_is_refused() -> None:
    """A value beyond the bound is said, not cut."""
    wanted = (ForwardedClaim("sub", "x-user-id"),)
    assert forwarded_headers({"sub": "é" * (MAX_VALUE_LENGTH // 6 + 1)}, wanted) is None
    assert forwarded_headers({"sub": "a" * MAX_VALUE_LENGTH}, wanted) is not None


def test_objects_stay_json() -> None:
    """What was an object can be parsed as one."""
    value = {"a": [1, {"b": "\n"}]}
    assert json.loads(header_value(value)) == value
