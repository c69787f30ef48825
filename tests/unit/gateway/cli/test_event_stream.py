"""Server-sent events, read from bytes that come in any pieces."""

from __future__ import annotations

import collections
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.event_stream import LARGEST_EVENT, EventParser, ServerEvent, TooLargeEventError

LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=30)
EVENTS = st.lists(
    st.builds(
        ServerEvent,
        id=LINE,
        kind=LINE.filter(lambda kind: kind not in ("", "message")),
        data=st.lists(LINE, min_size=1, max_size=3).map("\n".join),
    ),
    max_size=5,
)


def written(events: list[ServerEvent], end: str) -> bytes:
    """As a server writes them."""
    lines = [": a comment", "retry: 5", "unknown"]
    for event in events:
        lines += [f"id: {event.id}", f"event: {event.kind}", *(f"data: {line}" for line in event.data.split("\n")), ""]
    return "".join(f"{line}{end}" for line in lines).encode()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """``data`` cut at these places."""
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


@given(EVENTS, st.sampled_from(["\n", "\r", "\r\n"]), st.lists(st.integers(0, 10_000), max_size=20))
def test_what_was_written_is_read_however_it_is_cut(events: list[ServerEvent], end: str, cuts: list[int]) -> None:
    """Any of the three line ends, any pieces, also amid a character or between CR and LF."""
    parser = EventParser()
    read = [event for piece in pieces(written(events, end), cuts) for event in parser.feed(piece)]
    assert read == events
    assert parser.last_id == (events[-1].id if events else "")


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_anything_else_is_read_without_an_error(chunks: list[bytes]) -> None:
    """Bytes that are no UTF-8 and lines that mean nothing."""
    parser = EventParser()
    for chunk in chunks:
        for event in parser.feed(chunk):
            assert event.kind


def test_an_event_that_is_cut_off_is_none() -> None:
    """And its id is not remembered: it is asked for again."""
    parser = EventParser(last_id="7")
    assert list(parser.feed(b"id: 8\ndata: x\n")) == []
    assert parser.last_id == "7"


@pytest.mark.parametrize("begin", [b"data: " * 10, b"data: x\n" * 10])
def test_an_event_without_end_is_given_up(begin: bytes) -> None:
    """A long line, or ever more of them: memory is bounded."""
    parser = EventParser()
    chunks = [begin] * (LARGEST_EVENT // len(begin) * 5)
    with pytest.raises(TooLargeEventError):
        collections.deque((event for chunk in chunks for event in parser.feed(chunk)), maxlen=0)
