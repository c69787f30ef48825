"""The Prometheus text format, read and written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.exposition import Family, Sample, parse, render

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True)
# A carriage return ends no line in the format, and no label of Envoy holds one.
LABEL_VALUES = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=20)
SAMPLES = st.builds(
    Sample,
    NAMES,
    st.dictionaries(LABEL_NAMES, LABEL_VALUES, max_size=3),
    st.floats(allow_nan=False) | st.integers(-(2**40), 2**40).map(float),
)


@given(st.lists(SAMPLES, max_size=5))
def test_what_is_rendered_is_parsed_again(samples: list[Sample]) -> None:
    """Any labels, with quotes, braces, backslashes and newlines in them."""
    text = render([Family("f", "gauge", "help", samples)])
    assert list(parse(text, frozenset(sample.name for sample in samples))) == samples


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    """What is no sample is passed over."""
    assert all(sample.name == "a" for sample in parse(f"{text}\na 1\n", frozenset({"a"})))


def test_samples_that_nobody_wants_are_passed_over() -> None:
    """Comments and other names are not read."""
    text = '# TYPE a counter\na{x="1"} 2 1700000000\nb 3\n'
    assert list(parse(text, frozenset({"a"}))) == [Sample("a", {"x": "1"}, 2.0)]


def test_a_family_without_samples_still_shows_that_it_exists() -> None:
    """A dashboard finds the name before the first event."""
    assert render([Family("f", "counter", "Some help.", [])]) == "# HELP f Some help.\n# TYPE f counter\n"
