"""Loading: whatever comes in, a document or a ConfigError comes out."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.config import ConfigError, GatewayConfig, json_schema, load_document
from controlplane.config.problems import MAX_LISTED
from controlplane.config.yaml_text import LINE_BREAK
from controlplane.resolve import resolve

EXAMPLES = Path(__file__).parents[4] / "examples"
FULL = (EXAMPLES / "full" / "gateway.yaml").read_text(encoding="utf-8")
FULL_DATA: dict[str, Any] = yaml.safe_load(FULL.replace(" on:", ' "on":'))
SCHEMA = jsonschema.Draft202012Validator(json_schema())

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
words = st.sampled_from(
    [
        "name",
        "port",
        "match",
        "upstream",
        "path",
        "path_prefix",
        "/api",
        "5s",
        "*",
        "resumes",
        "http://h:1",
        "on",
        "GET",
    ]
)
values = st.recursive(
    leaves | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def judge(source: bytes) -> GatewayConfig | None:
    """Load and resolve; anything but ConfigError fails the test, and so does a position outside the text."""
    try:
        document = load_document(source, origin="x.yaml")
        resolve(document, listen_address="127.0.0.1")
    except ConfigError as error:
        problems = error.problems
    else:
        return document
    assert problems
    lines = len(LINE_BREAK.split(source.decode(errors="replace")))
    for problem in problems:
        assert problem.code
        assert problem.message
        assert problem.position is None or 1 <= problem.position.line <= lines
    return None


@given(st.binary(max_size=200))
def test_any_bytes(source: bytes) -> None:
    """Random bytes."""
    judge(source)


@given(st.text("ab:-[]{},&*!|>'\"%@`#?~0. \n\t", max_size=60))
def test_any_punctuation(text: str) -> None:
    """Texts that look like YAML."""
    judge(text.encode())


@given(values)
def test_any_structure(value: Any) -> None:
    """Values of any shape."""
    judge(json.dumps(value).encode())


@given(st.dictionaries(st.sampled_from(sorted(GatewayConfig.model_fields)), values))
def test_any_sections(value: Any) -> None:
    """The right sections with anything in them."""
    judge(json.dumps(value).encode())


@given(st.integers(0, len(FULL)), st.integers(0, 8), st.text(max_size=4))
@settings(max_examples=60)
def test_a_document_with_a_slip_of_the_finger(at: int, deleted: int, inserted: str) -> None:
    """The full example with a few characters changed anywhere."""
    judge((FULL[:at] + inserted + FULL[at + deleted :]).encode())


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The full example with one to three values replaced, removed or renamed."""
    data = copy.deepcopy(FULL_DATA)
    for _ in range(draw(st.integers(1, 3))):
        at = data
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], (dict, list)) and draw(st.integers(0, 3)):
                at = at[key]
                continue
            action = draw(st.sampled_from(["replace", "remove", "rename"]))
            if action == "replace":
                at[key] = draw(values)
                break
            old = at.pop(key)
            if action == "rename" and isinstance(at, dict):
                at[draw(words)] = old
            break
    return data


@given(mutated())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_document_fulfils_the_schema_if_it_is_valid(data: Any) -> None:
    """Editors are never told that a good document is bad."""
    text = json.dumps(data)
    if judge(text.encode()) is not None:
        SCHEMA.validate(json.loads(text))


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*/gateway.yaml")), ids=lambda path: path.parent.name)
def test_every_example_is_valid(example: Path) -> None:
    """The documents that users start from."""
    assert judge(example.read_bytes()) is not None


def test_the_readme_document_is_valid() -> None:
    """The one that people see first."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (block,) = [part for part in readme.split("```yaml\n")[1:] if part.startswith("listeners:")]
    assert judge(block.partition("```")[0].encode()) is not None


def test_a_document_knows_where_its_parts_stand() -> None:
    """Problems that only show later get their position too."""
    document = load_document(b"listeners: [{name: a, port: 1}]\nupstreams: [{name: u, endpoints: ['http://h']}]\n"
                             b"routes: [{match: {path: /}, upstream: w}]\n", origin="x.yaml")  # fmt: skip
    with pytest.raises(ConfigError, match=r"^x.yaml:3:39: nothing in upstreams is called 'w'"):
        resolve(document, listen_address="127.0.0.1")


def test_many_problems_are_counted_and_not_all_written() -> None:
    """What is logged and held in memory stays bounded."""
    source = b"routes: [" + b"5, " * 300 + b"]"
    with pytest.raises(ConfigError) as caught:
        load_document(source, origin="x.yaml")
    assert len(caught.value.problems) == MAX_LISTED
    assert str(caught.value).endswith("\n… and 102 more")


@pytest.mark.parametrize(
    "source",
    [
        b"authentication: {a: {api_key: {keys: {acme: hunter2-secret}}}}",
        b"authentication: {a: {api_key: {keys: {acme: [hunter2-secret]}}}}",
        b"authentication: {a: {jwt: {jwks_uri: 'http://admin:hunter2-secret@id.example.com'}}}",
        b"upstreams: [{name: a, endpoints: ['http://admin:hunter2-secret@h/']}]",
        b"upstreams: [{name: hunter2-secret!, endpoints: {url: hunter2-secret}}]",
    ],
)
def test_no_value_stands_in_a_problem(source: bytes) -> None:
    """Problems are logged, and a value in the wrong place may be a secret."""
    with pytest.raises(ConfigError) as caught:
        load_document(source, origin="x.yaml")
    assert "hunter2" not in repr(caught.value.problems)
