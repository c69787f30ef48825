"""What is printed: for people and for programs, and never for the terminal itself."""

from __future__ import annotations

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.output import as_json, as_yaml, plain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_says_the_same_without_control_characters(value: object) -> None:
    """C1 controls and bidirectional marks are escaped, which json.dumps leaves as they are."""
    text = as_json(value)
    assert json.loads(text) == value
    assert all(character.isprintable() or character == "\n" for character in text)


@given(VALUES)
def test_yaml_says_the_same_in_ascii(value: object) -> None:
    """Programs that read YAML get the value back."""
    text = as_yaml(value)
    assert text.isascii()
    assert yaml.safe_load(text) == value


@given(st.text())
def test_plain_text_moves_no_cursor(text: str) -> None:
    """As many characters as before, all of them printable."""
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)
