"""Editing one resource inside a document's text: it says what was asked for, and the rest is as it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from controlplane.admin.editing import (
    SECTIONS,
    Draft,
    EditError,
    NoSuchResourceError,
    Section,
    find,
    listed,
    put,
    remove,
)
from controlplane.config.parts import join_parts, parse_parts
from controlplane.config.yaml_text import parse_yaml

ROUTES, UPSTREAMS, LIMITS = SECTIONS["routes"], SECTIONS["upstreams"], SECTIONS["rate_limits"]

DOCUMENT = """\
# The gateway of the team.
listeners:
  - {name: http, port: 8000}   # the public one

upstreams:
  # Keeps the resumes.
  - name: resumes
    endpoints: ["http://127.0.0.1:8048"]
    health_check:
      path: /health   # cheap
      interval: 5s
  # Sends mail.
  - name: mail
    endpoints:
      - http://127.0.0.1:8049
rate_limits:
  per-ip: {by: ip, requests: 300, per: 1m}
  # Generous.
  per-user:
    by: user
    requests: 100
    per: 1m
routes:
- match: {path_prefix: /api}
  upstream: resumes   # for now
  timeout: 5s

# Everything else.
- {match: {path_prefix: /}, upstream: mail}
"""


def draft(text: str = DOCUMENT, names: tuple[str, ...] = ("/api", "/")) -> Draft:
    """A document that is live."""
    return Draft.read(text.encode(), names)


def written(source: Draft, section: Section, name: str) -> Any:
    """The value of a resource that is there."""
    found = find(source, section, name)
    assert found is not None
    return found.value


def lines_gone_and_come(before: str, after: bytes) -> tuple[list[str], list[str]]:
    """What differs, as lines."""
    old, new = before.splitlines(), after.decode().splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_one_value_changes_one_line() -> None:
    """Comments, quotes and order of all the rest stay, those on the line itself too."""
    value = copy.deepcopy(written(draft(), UPSTREAMS, "resumes"))
    value["health_check"]["path"] = "/ready"
    gone, come = lines_gone_and_come(DOCUMENT, put(draft(), UPSTREAMS, "resumes", value).text)
    assert (gone, come) == (["      path: /health   # cheap"], ["      path: /ready   # cheap"])


def test_a_route_is_added_at_the_end_or_before_another() -> None:
    """Above the comment that belongs to the other."""
    value = {"name": "new", "match": {"path": "/new"}, "upstream": "mail"}
    at_end = put(draft(), ROUTES, "new", value)
    assert at_end.path == ("routes", 2)
    assert at_end.text.decode() == DOCUMENT + "- name: new\n  match: {path: /new}\n  upstream: mail\n"
    between = put(draft(), ROUTES, "new", value, position=1).text.decode()
    assert between.index("timeout: 5s") < between.index("name: new") < between.index("# Everything else.")


def test_what_is_deleted_takes_the_comment_above_it_along() -> None:
    """And leaves its neighbours' alone."""
    gone, come = lines_gone_and_come(DOCUMENT, remove(draft(), UPSTREAMS, "mail").text)
    assert come == []
    assert gone == ["  # Sends mail.", "  - name: mail", "    endpoints:", "      - http://127.0.0.1:8049"]
    gone, come = lines_gone_and_come(DOCUMENT, remove(draft(), LIMITS, "per-user").text)
    assert come == []
    assert "  # Generous." in gone


def test_the_last_of_a_section_takes_the_section_along() -> None:
    """An empty one would only be refused."""
    text = remove(draft(), SECTIONS["listeners"], "http").text
    assert "listeners" not in parse_yaml(text, origin="").data


def test_a_new_section_comes_at_the_end() -> None:
    """Also in a document without a line break at its end."""
    value = {"jwt": {"issuer": "https://id.example", "audiences": ["x"], "jwks_uri": "https://id.example/keys"}}
    text = put(draft(DOCUMENT.rstrip()), SECTIONS["authentication"], "platform", value).text
    assert parse_yaml(text, origin="").data["authentication"] == {"platform": value}


def test_json_stays_json() -> None:
    """A document in braces is changed in braces."""
    source = json.dumps(parse_yaml(DOCUMENT.encode(), origin="").data)
    edited = put(draft(source), LIMITS, "new", {"by": "ip", "requests": 1, "per": "1s"}).text
    edited = put(draft(edited.decode()), UPSTREAMS, "mail", {"name": "mail", "endpoints": ["http://a:1"]}).text
    edited = remove(draft(edited.decode()), ROUTES, "/").text
    data = parse_yaml(edited, origin="").data
    assert data["rate_limits"]["new"] == {"by": "ip", "requests": 1, "per": "1s"}
    assert [route["upstream"] for route in data["routes"]] == ["resumes"]


def test_an_alias_is_replaced_and_not_what_it_stands_for() -> None:
    """What others share stays theirs; what can't be told apart is refused."""
    text = DOCUMENT.replace("interval: 5s", "interval: &t 5s").replace("timeout: 5s", "timeout: *t")
    value = {**written(draft(text), ROUTES, "/api"), "timeout": "9s"}
    data = parse_yaml(put(draft(text), ROUTES, "/api", value).text, origin="").data
    assert (data["routes"][0]["timeout"], data["upstreams"][0]["health_check"]["interval"]) == ("9s", "5s")
    with pytest.raises(EditError, match="alias"):
        remove(draft(text), UPSTREAMS, "resumes")


def test_what_others_share_is_not_changed_behind_their_backs() -> None:
    """An edit inside an anchored value would be one of theirs too."""
    text = DOCUMENT.replace("health_check:\n", "health_check: &check\n")
    text = text.replace("      - http://127.0.0.1:8049\n", "      - http://127.0.0.1:8049\n    health_check: *check\n")
    value = copy.deepcopy(written(draft(text), UPSTREAMS, "resumes"))
    value["health_check"]["path"] = "/other"
    with pytest.raises(EditError, match="alias"):
        put(draft(text), UPSTREAMS, "resumes", value)


def test_each_file_of_a_folder_keeps_its_own() -> None:
    """What is changed changes in its file, what is new goes to the last that has the section."""
    first, _, second = DOCUMENT.partition("rate_limits:")
    text = join_parts([("a.yaml", first.encode()), ("b.yaml", b"rate_limits:" + second.encode())]).decode()
    edited = put(draft(text), UPSTREAMS, "mail", {"name": "mail", "endpoints": ["http://a:1"]}).text
    edited = remove(draft(edited.decode()), ROUTES, "/api").text
    assert edited.startswith(b"--- # file: a.yaml\n")
    data = parse_parts(edited, origin="").data
    assert (data["upstreams"][1]["endpoints"], len(data["routes"])) == (["http://a:1"], 1)


def test_nothing_of_that_name() -> None:
    """Is said by its own error."""
    with pytest.raises(NoSuchResourceError):
        remove(draft(), ROUTES, "nothing")


def test_an_equal_value_changes_nothing() -> None:
    """Not one byte."""
    for section in SECTIONS.values():
        for one in listed(draft(), section):
            assert put(draft(), section, one.name, one.value).text == DOCUMENT.encode()


TEXTS = st.one_of(
    st.sampled_from(
        ["on", "1e3", "0x1", "~", "null", "- a", "#", "a: b", "a #b", "5s", "é", "\x85", "\u2028", "'", '"']
    ),
    st.text(max_size=12),
)
SCALARS = st.one_of(
    TEXTS, st.booleans(), st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
MEMBERS = st.dictionaries(st.sampled_from(["by", "requests", "per", "x"]) | TEXTS, VALUES, min_size=1, max_size=4)


@given(
    st.lists(st.tuples(st.sampled_from(["per-ip", "per-user", "new", "1"]), MEMBERS | st.none()), max_size=5),
    st.booleans(),
)
@settings(max_examples=150)
def test_any_edits_say_what_was_asked_for(steps: list[tuple[str, dict[str, Any] | None]], as_json: bool) -> None:
    """Whatever is put and removed, in blocks and in braces, the text then says it and the rest is the same."""
    start = json.dumps(parse_yaml(DOCUMENT.encode(), origin="").data) if as_json else DOCUMENT
    text, expected = start, copy.deepcopy(parse_yaml(start.encode(), origin="").data["rate_limits"])
    for name, value in steps:
        if value is None:
            if name in expected and len(expected) > 1:
                text = remove(draft(text), LIMITS, name).text.decode()
                del expected[name]
            continue
        assume(all(32 <= ord(c) < 0xD800 or ord(c) >= 0xE000 for c in json.dumps(value, ensure_ascii=False)))
        text = put(draft(text), LIMITS, name, value).text.decode()
        expected[name] = value
        assert parse_yaml(text.encode(), origin="").data["rate_limits"] == expected
    assert parse_yaml(text.encode(), origin="").data["routes"] == parse_yaml(start.encode(), origin="").data["routes"]
