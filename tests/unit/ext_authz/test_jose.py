"""base64url and JSON of strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from ext_authz.jose import base64url, strict_object

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.binary())
def test_base64url_reads_what_was_written(data: bytes) -> None:
    """Every octet string has a spelling, and it is read back."""
    assert base64url(base64url_encode(data)) == data


@given(st.binary(max_size=12) | st.text("AQgwBEIMz09-_=+/ \n", max_size=8).map(str.encode))
def test_base64url_has_one_spelling(text: bytes) -> None:
    """What is accepted is exactly what an encoder writes."""
    data = base64url(text)
    assert data is None or base64url_encode(data) == text


@given(st.binary(max_size=64))
def test_json_of_strangers_never_raises(data: bytes) -> None:
    """An object or ``None``, whatever arrives."""
    assert strict_object(data) is None or isinstance(strict_object(data), dict)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
def test_json_is_read_like_the_standard_library_reads_it(value: dict[str, Any], ascii_only: bool) -> None:
    """Strictness takes nothing away from what is in order."""
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert strict_object(data, max_depth=64) == value


@pytest.mark.parametrize("depth", [1, 15, 16])
def test_nesting_within_the_bound_is_read(depth: int) -> None:
    """The object itself is the first level."""
    data = b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)
    assert strict_object(data, max_depth=16) is not None
    assert strict_object(b'{"a":' + data + b"}", max_depth=depth) is None


def test_many_small_arrays_are_not_deep() -> None:
    """Brackets side by side are no nesting."""
    assert strict_object(json.dumps({"a": [[]] * 100}).encode()) is not None
