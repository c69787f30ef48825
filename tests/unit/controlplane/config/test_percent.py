"""Shares as the document writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from controlplane.config.percent import Percent, format_percent


@pytest.mark.parametrize(
    ("text", "share"), [("0%", 0.0), ("5%", 0.05), ("0.5%", 0.005), ("0.01%", 0.0001), ("33.3%", 0.333), ("100%", 1.0)]
)
def test_a_share_is_a_part_of_one(text: str, share: float) -> None:
    """Written back as it was."""
    assert Percent().parse(text) == share
    assert format_percent(share) == text


@pytest.mark.parametrize(
    "value", [5, 0.05, "5", "5 %", "5.%", ".5%", "-1%", "101%", "0.001%", "5%\n", "\u0665%", True, None, []]
)
def test_anything_else_is_a_mistake(value: Any) -> None:
    """A number alone too: nobody knows whether 0.05 is five per cent or a twentieth of one."""
    with pytest.raises(PydanticCustomError):
        Percent().parse(value)


@given(st.integers(0, 10_000))
def test_every_share_survives_being_written(hundredths: int) -> None:
    """To the hundredth of a per cent."""
    assert Percent().parse(format_percent(hundredths / 10_000)) == hundredths / 10_000


@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{1,8}%?", fullmatch=True))
def test_no_text_is_more_than_a_mistake(text: str) -> None:
    """Whatever stands there."""
    try:
        assert 0 <= Percent().parse(text) <= 1
    except PydanticCustomError:
        return
