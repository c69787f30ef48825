"""The reference of the document as a Markdown page, made from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from controlplane.config.schema import json_schema

_INTRODUCTION = """\
# The document

<!-- Generated: `gateway schema --markdown > docs/reference/document.md`. A test fails when it is not current. -->

One YAML (or JSON) file says what the gateway does. Unknown keys, names that nothing has and impossible values are
errors; `gateway validate FILE` names all of them with line and column. `gateway schema` prints the same as JSON Schema:
with `# yaml-language-server: $schema=gateway.schema.json` as the first line of a document, editors complete and check
it.

Durations are written as `250ms`, `5s`, `1m`, `1h`. Keys in **bold** are required. YAML is read as YAML 1.2: `on` and
`yes` are text. An alias (`*name`) stands for what its anchor marks; tags, merge keys and several documents in a file
are refused, and so is a file of more than 4 MiB.
"""

_ROOT = "GatewayConfig"


def reference() -> str:
    """The whole page."""
    schema = json_schema()
    sections = {_ROOT: schema, **schema["$defs"]}
    names = dict.fromkeys([_ROOT, *_mentioned(schema, schema["$defs"])])
    return "\n".join([_INTRODUCTION, *(_section(name, sections[name]) for name in names)])


def _mentioned(section: Any, definitions: dict[str, Any]) -> Iterator[str]:
    """Names of the sections below ``section``, in the order in which a reader comes upon them."""
    for definition in section.get("properties", {}).values():
        for name in _references(definition):
            yield name
            yield from _mentioned(definitions[name], definitions)


def _references(definition: Any) -> Iterator[str]:
    if isinstance(definition, dict):
        if "$ref" in definition:
            yield _target(definition)
        for key, value in definition.items():
            if key != "default":
                yield from _references(value)
    elif isinstance(definition, list):
        for item in definition:
            yield from _references(item)


def _target(definition: dict[str, Any]) -> str:
    return str(definition["$ref"]).rpartition("/")[2]


def _section(name: str, section: dict[str, Any]) -> str:
    heading = "Top level" if name == _ROOT else name
    required = section.get("required", [])
    rows = [_row(key, definition, required) for key, definition in section["properties"].items()]
    choice = " or ".join(f"`{option['required'][0]}`" for option in section.get("oneOf", []))
    return "\n".join(
        [
            f"## {heading}",
            "",
            str(section["description"]),
            *(["", f"Exactly one of {choice} has to stand here."] if choice else []),
            "",
            "| key | value | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(key: str, definition: dict[str, Any], required: list[str]) -> str:
    shown = f"**`{key}`**" if key in required else f"`{key}`"
    meaning = " ".join(definition.get("description", "").split())
    return f"| {shown} | {_escaped(_value(definition))} | {_escaped(_default(definition))} | {_escaped(meaning)} |"


def _default(definition: dict[str, Any]) -> str:
    """A section's default is that of its own keys."""
    if "default" not in definition or "$ref" in definition or definition["default"] == {}:
        return ""
    default = definition["default"]
    return f"`{_text(default)}`"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(definition: dict[str, Any]) -> str:
    """What may be written, in words."""
    if "$ref" in definition:
        return f"[{_target(definition)}](#{_target(definition).lower()})"
    if "anyOf" in definition:
        return " or ".join(_value(option) for option in definition["anyOf"])
    if "const" in definition:
        return f"`{_text(definition['const'])}`"
    if "enum" in definition:
        return ", ".join(f"`{word}`" for word in definition["enum"])
    if "x-duration" in definition:
        return f"duration, {definition['x-duration']}"
    if "x-percent" in definition:
        return f"share, {definition['x-percent']}"
    if "x-size" in definition:
        return f"size, {definition['x-size']}"
    return _plain(definition)


def _plain(definition: dict[str, Any]) -> str:
    kind = definition.get("type")
    if kind == "array":
        return f"list of {_value(definition['items'])}"
    if kind == "object":
        inside = definition.get("additionalProperties") or next(iter(definition["patternProperties"].values()))
        return f"names to {_value(inside)}"
    if kind == "integer":
        return f"{definition['minimum']} to {definition['maximum']}"
    return {"boolean": "`true`, `false`", "string": "URL" if definition.get("format") == "uri" else "text"}[str(kind)]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
