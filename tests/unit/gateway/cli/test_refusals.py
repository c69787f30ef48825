"""Problem documents, as they should be and as they should not."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.refusals import SHOWN, Mistake, read_refusal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
MEMBERS = st.sampled_from(["detail", "title", "type", "errors", "where", "message", "pointer", "hint", "code"])
PROBLEM_LIKE = st.dictionaries(MEMBERS, JSON | st.lists(st.dictionaries(MEMBERS, JSON, max_size=5), max_size=4))


@given(
    st.integers(100, 599), st.binary(max_size=100) | (JSON | PROBLEM_LIKE).map(lambda value: json.dumps(value).encode())
)
def test_every_answer_becomes_words(status: int, body: bytes) -> None:
    """Whatever the body is: no other error, never empty, and nothing that steers a terminal."""
    text = str(read_refusal(status, body))
    assert text
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_mistake_in_what_was_sent_has_its_place() -> None:
    """In the only file, in one of several, or in none of ours."""
    errors = [
        {"where": "request:3:46", "pointer": "/routes/0", "message": "no such upstream", "hint": "echo?", "code": "x"},
        {"where": "request/b.yaml:2:1", "message": "m"},
        {"where": "other:9:9", "message": "m"},
        {"pointer": "/limit", "message": "m"},
    ]
    body = json.dumps({"type": "urn:gateway:problem:invalid-document", "detail": "4 mistakes.", "errors": errors})
    found = read_refusal(422, body.encode())
    assert (found.code, found.detail) == ("invalid-document", "4 mistakes.")
    places = [(one.file, one.line, one.column, one.path) for one in found.mistakes]
    assert places == [
        ("", 3, 46, "/routes/0"),
        ("b.yaml", 2, 1, ""),
        (None, None, None, "other:9:9"),
        (None, None, None, "/limit"),
    ]
    assert found.mistakes[0] == Mistake(
        message="no such upstream", hint="echo?", code="x", path="/routes/0", file="", line=3, column=46
    )


def test_a_flood_of_mistakes_is_cut() -> None:
    """A hostile answer fills no screen for hours."""
    body = json.dumps({"detail": "d", "errors": [{"message": "m" * 10_000}] * 5000})
    found = read_refusal(422, body.encode())
    assert len(found.mistakes) == SHOWN
    assert len(str(found)) < SHOWN * 3000


def test_deep_nesting_is_no_crash() -> None:
    """Python's JSON gives up by recursion."""
    assert "answered 418" in str(read_refusal(418, b"[" * 100_000))
