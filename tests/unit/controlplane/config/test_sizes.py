"""Sizes as the document writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from controlplane.config.sizes import Size, format_size

ANY = Size(least=0, most=1 << 62)


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("1B", 1), ("512KiB", 524_288), ("10MiB", 10_485_760), ("1GiB", 1 << 30)]
)
def test_a_size_is_a_number_of_bytes(text: str, size: int) -> None:
    """Written back as it was."""
    assert ANY.parse(text) == size
    assert format_size(size) == text


@pytest.mark.parametrize(
    "value", [5, 5.0, "5", "5 MiB", "5MB", "5M", "-1B", "1.5MiB", "5KiB\n", "\u0665B", True, None, []]
)
def test_anything_else_is_a_mistake(value: Any) -> None:
    """A number alone too, and units that mean 1000 to some."""
    with pytest.raises(PydanticCustomError):
        ANY.parse(value)


@given(st.integers(0, 999_999_999))
def test_every_size_survives_being_written(size: int) -> None:
    """To the byte."""
    assert ANY.parse(format_size(size)) == size


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,10}[KMG]?i?B?", fullmatch=True))
def test_no_text_is_more_than_a_mistake(text: str) -> None:
    """Whatever stands there."""
    try:
        assert ANY.parse(text) >= 0
    except PydanticCustomError:
        return
