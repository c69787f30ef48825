"""The JSON Schema and the reference page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from controlplane.config import json_schema
from controlplane.config.markdown import reference

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "document.md"


def test_the_committed_page_is_current() -> None:
    """``gateway schema --markdown > docs/reference/document.md`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_every_key_has_a_meaning() -> None:
    """In the schema, and so in editors and on the page."""
    schema = json_schema()
    sections = {"": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, definition in section["properties"].items()
        if "description" not in definition and "description" not in _target(definition, sections)
    ]
    assert silent == []


def _target(definition: dict[str, Any], sections: dict[str, Any]) -> dict[str, Any]:
    return dict(sections.get(definition.get("$ref", "").rpartition("/")[2], {}))


def test_the_schema_is_one() -> None:
    """As its own dialect says."""
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"path": "/a", "path_prefix": "/a"},
        {"path": "a"},
        {"path": "/a", "hosts": []},
        {"path": "/a", "headers": {"a": 1}},
    ],
)
def test_the_schema_knows_what_an_editor_can_know(match: dict[str, Any]) -> None:
    """Among others which keys exclude each other."""
    document = {
        "listeners": [{"name": "a", "port": 1}],
        "upstreams": [{"name": "a", "endpoints": ["http://a"]}],
        "routes": [{"match": match, "upstream": "a"}],
    }
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(document)
