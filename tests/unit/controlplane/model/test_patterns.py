"""Patterns of node selectors."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model.patterns import compiled, matches_all_of

TEXTS = st.text("ab./", max_size=8)
PATTERNS = st.text("ab./*", min_size=1, max_size=6).filter(lambda text: "**" not in text)


def slow_match(pattern: str, text: str, *, is_identity: bool) -> bool:
    """The same by trying everything."""
    if pattern == "*":
        return True
    return _rest(pattern, text, stops="./" if is_identity else "")


def _rest(pattern: str, text: str, *, stops: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] != "*":
        return text[:1] == pattern[0] and _rest(pattern[1:], text[1:], stops=stops)
    for length in range(len(text) + 1):
        if any(stop in text[:length] for stop in stops):
            return False
        if _rest(pattern[1:], text[length:], stops=stops):
            return True
    return False


@pytest.mark.parametrize(
    ("pattern", "text", "said", "proven"),
    [
        ("edge-1", "edge-1", True, True),
        ("edge-1", "edge-10", False, False),
        ("edge-*", "edge-", True, True),
        ("*.example", "edge.example", True, True),
        ("edge.*.example", "edge.eu.example", True, True),
        ("edge.*.example", "edge.eu.west.example", True, False),
        ("*.example", "edge.evil/x.example", True, False),
        ("*", "edge.eu.example", True, True),
        ("a.c", "abc", False, False),
        ("x*", "X1", False, False),
        ("*", "two\nlines", True, True),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, text: str, said: bool, proven: bool) -> None:
    """In what a certificate proves it stays inside one part of the name, for the next part is another's to give."""
    assert bool(compiled([pattern])(text)) is said
    assert bool(compiled([pattern], is_identity=True)(text)) is proven


@settings(max_examples=500)
@given(PATTERNS, TEXTS, st.booleans())
def test_it_agrees_with_trying_everything(pattern: str, text: str, is_identity: bool) -> None:
    """The quick way gives no other answer."""
    assert bool(compiled([pattern], is_identity=is_identity)(text)) is slow_match(
        pattern, text, is_identity=is_identity
    )


@settings(max_examples=500)
@given(PATTERNS, PATTERNS, TEXTS, st.booleans())
def test_what_takes_all_takes_each(wide: str, narrow: str, text: str, is_identity: bool) -> None:
    """A text that the narrow one means is one that the wide one means."""
    if matches_all_of(wide, narrow, is_identity=is_identity) and compiled([narrow], is_identity=is_identity)(text):
        assert compiled([wide], is_identity=is_identity)(text)


@given(PATTERNS, st.booleans())
def test_every_pattern_takes_all_of_itself(pattern: str, is_identity: bool) -> None:
    """And the star alone takes all of every other."""
    assert matches_all_of(pattern, pattern, is_identity=is_identity)
    assert matches_all_of("*", pattern, is_identity=is_identity)


def test_no_node_can_make_a_pattern_slow() -> None:
    """The text is the node's to choose."""
    begin = time.perf_counter()
    assert not compiled(["*a" * 120 + "*b"])("a" * 253)
    assert time.perf_counter() - begin < 0.5
