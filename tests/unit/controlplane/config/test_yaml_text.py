"""Reading YAML: values, positions, bounds."""

from __future__ import annotations

import pytest

from controlplane.config.problems import ConfigError, Position
from controlplane.config.yaml_text import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, Text, parse_yaml


def read(text: str | bytes) -> Text:
    """Parse a text called ``x.yaml``."""
    return parse_yaml(text.encode() if isinstance(text, str) else text, origin="x.yaml")


def refusal(text: str | bytes) -> str:
    """The one problem for which a text cannot be read."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("0o17", 15),
        ("0x1F", 31),
        ("-12", -12),
        ("017", 17),
        ("1.5", 1.5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("'8000'", "8000"),
        ("9" * 5000, float("inf")),
        ("0x" + "f" * 17, "0x" + "f" * 17),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_plain_scalars_are_read_as_yaml_1_2(written: str, value: object) -> None:
    """``on`` is text, ``1:30`` is no number in base 60, and no number is too long for Python."""
    assert read(f"key: {written}").data == {"key": value}


def test_keys_are_text_as_written() -> None:
    """``on:`` and ``8000:`` are keys that can be spelt in the document's vocabulary."""
    assert read("on: 1\n8000: 2\nnull: 3\n").data == {"on": 1, "8000": 2, "null": 3}


def test_every_key_and_value_has_its_position() -> None:
    """Lines and columns begin at 1."""
    places = read("a:\n  - {b: 1,  c: [x, y]}\n").places
    assert places.keys[("a",)] == Position(1, 1)
    assert places.values[("a", 0)] == Position(2, 5)
    assert places.keys[("a", 0, "c")] == Position(2, 13)
    assert places.values[("a", 0, "c", 1)] == Position(2, 20)


def test_columns_count_characters_and_not_bytes() -> None:
    """An editor's column, also behind letters that take several bytes."""
    assert read("{ä: ü, 😀: here}").places.keys[("😀",)] == Position(1, 8)


def test_json_is_read_too() -> None:
    """The admin API's clients send it."""
    assert read('{"a": [1, true, "x\\u00e4"], "b": {"c": 1.5}}').data == {"a": [1, True, "xä"], "b": {"c": 1.5}}


def test_an_alias_is_what_its_anchor_marks() -> None:
    """It stands where it is used, as far as positions go."""
    text = read("a: &x {b: 1}\nc: *x\n")
    assert text.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert text.places.values[("c",)] == Position(2, 4)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    """Windows editors write one."""
    assert read(b"\xef\xbb\xbfa: 1").data == {"a": 1}


def test_what_is_not_utf_8_is_refused_where_it_stands() -> None:
    """Latin-1 and UTF-16 are the usual ones."""
    assert refusal(b"a: 1\nb: \xe4\n") == "x.yaml:2:4: the text is not UTF-8"
    assert refusal("a: 1".encode("utf-16")) == "x.yaml:1:1: the text is not UTF-8"
    assert refusal(b"\xef\xbb\xbfa: \xff") == "x.yaml:1:4: the text is not UTF-8"


def test_a_text_beyond_the_bound_is_refused_unread() -> None:
    """4 MiB."""
    assert read(b"a: 1 " + b"#" * (MAX_BYTES - 5)).data == {"a": 1}
    assert "larger than 4 MiB" in refusal(b"#" * (MAX_BYTES + 1))


def test_deep_nesting_costs_no_stack() -> None:
    """A hundred thousand brackets are one problem, not a crash."""
    assert f"nested more than {MAX_DEPTH} deep" in refusal("[" * 100_000)


def test_many_aliases_are_refused() -> None:
    """Each is cheap, all together are not."""
    assert f"more than {MAX_ALIASES} aliases" in refusal("a: &x 1\nb: [" + "*x, " * (MAX_ALIASES + 1) + "]")


def test_problems_that_stop_nothing_are_collected() -> None:
    """Two duplicate keys and a missing value in one reading."""
    text = read("a: 1\na: 2\nb:\nc: {d: 1, d: 2}\n")
    assert [str(problem) for problem in text.problems] == [
        "x.yaml:2:1: the key 'a' stands here twice",
        "x.yaml:3:1: there is no value here (write one, or leave it out)",
        "x.yaml:4:11: the key 'd' stands here twice",
    ]
