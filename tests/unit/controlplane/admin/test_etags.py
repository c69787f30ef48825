"""Preconditions (RFC 9110 §13): a write meant for another state is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from controlplane.admin.errors import ApiError
from controlplane.admin.etags import check_preconditions, document_tag, is_unchanged, resource_tag


def asking(**headers: str) -> Request:
    """A request with these headers."""
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "exists", "status"),
    [
        ({}, True, None),
        ({"if_match": '"7"'}, True, None),
        ({"if_match": '"r-1"'}, True, None),
        ({"if_match": '"6", "7"'}, True, None),
        ({"if_match": "*"}, True, None),
        ({"if_match": '"6"'}, True, 412),
        ({"if_match": 'W/"7"'}, True, 412),
        ({"if_match": "*"}, False, 412),
        ({"if_match": '"7"'}, False, 412),
        ({"if_none_match": "*"}, True, 412),
        ({"if_none_match": "*"}, False, None),
        ({"if_none_match": 'W/"7"'}, True, 412),
        ({"if_none_match": '"6"'}, True, None),
        ({"if_match": "7"}, True, 400),
        ({"if_match": '"7'}, True, 400),
        ({"if_match": ""}, True, 400),
        ({"if_match": '"' + "x" * 3000 + '"'}, True, 400),
    ],
)
def test_a_write_is_for_the_state_that_it_names(headers: dict[str, str], exists: bool, status: int | None) -> None:
    """Strongly compared; the document's tag and the resource's own are both good."""
    found = None
    try:
        check_preconditions(asking(**headers), ['"7"', '"r-1"'], exists=exists)
    except ApiError as error:
        found = error.response.status_code
    assert found == status


def test_a_state_may_have_to_be_named() -> None:
    """428, for what exists."""
    with pytest.raises(ApiError) as refused:
        check_preconditions(asking(), ['"7"'], required=True)
    assert refused.value.response.status_code == 428
    check_preconditions(asking(), [], exists=False, required=True)


def test_equal_values_have_equal_tags() -> None:
    """In whichever order their keys are written."""
    assert resource_tag({"a": 1, "b": 2}) == resource_tag({"b": 2, "a": 1}) != resource_tag({"a": 1})
    assert document_tag(7, "x") == '"7"'
    assert is_unchanged(asking(if_none_match='W/"7"'), '"7"')


@given(st.text(alphabet=st.characters(max_codepoint=255, blacklist_characters="\r\n\0"), max_size=100))
def test_any_header_is_read_or_refused(text: str) -> None:
    """Nothing but the one error comes out."""
    with suppress(ApiError):
        check_preconditions(asking(if_match=text), ['"7"'])
