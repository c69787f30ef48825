"""What a request carries is read strictly: a clear no for everything else, and never an error of ours."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.admin.bodies import MAX_DEPTH, parse_json
from controlplane.admin.errors import ApiError


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"a": 1, "a": 2}', 400),
        (b'{"a": {"b": 1, "b": 1}}', 400),
        (b"NaN", 400),
        (b"[-Infinity]", 400),
        (b"1e999", 400),
        (b"1" * 5000, 400),
        (b'{"a": 1} x', 400),
        (b"[" * 100_000, 422),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), 422),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, status: int) -> None:
    """Duplicate members, numbers without an end, and depth too."""
    with pytest.raises(ApiError) as refused:
        parse_json(body)
    assert refused.value.response.status_code == status


def test_the_depth_that_documents_may_have_is_read() -> None:
    """Not one less."""
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    """Whatever it is."""
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789eE.-ntfalsu\\ ').map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but the one error comes out."""
    with suppress(ApiError):
        parse_json(body)
