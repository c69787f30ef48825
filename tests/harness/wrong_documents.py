"""Documents that are wrong in one place each: made from right ones, by what the JSON Schema says of every value.

Which line is wrong is known from the writing, not from the reading.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema

from controlplane.config import json_schema
from controlplane.config.durations import Duration, format_duration
from tests.harness.written_lines import Inline, Path, Twice, Written

_SCHEMA = json_schema()

_STRANGE: tuple[Any, ...] = (17, -1, 10**12, 1.5, True, "", "nonsense !", "x" * 5000, ["x"], [], {"x": 1}, {})
"""Values of every type; what the schema allows at a place is not wrong there."""

_NO_DURATION = ("5", "5 s", "1y", "-1s", "1e3s", "1.5.5s", "٣s")
_ANY_DURATION = Duration(least=0, most=float("inf"))
_NO_REGEX = ("(", "[", "a**", "(?=x)", r"(a)\1", "x{2,1}", "x{1001}", "\\")
_NO_URL = ("example.com", "ftp://example.com", "http://", "http://h:99999", "http://a b", "http://user:word@h")
_NAMES = {"upstream": "nobody", "authenticate": "nobody", "rate_limits": "nobody"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong document."""

    kind: str
    """What was done to it."""
    at: str
    """Where."""
    text: bytes
    lines: frozenset[int]
    """One of these has to be named."""

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


def wrong_documents(data: dict[str, Any]) -> Iterator[Wrong]:
    """Every way in which a right document is made wrong."""
    assert not list(jsonschema.Draft202012Validator(_SCHEMA).iter_errors(data)), "the document was right"
    for path, allowed, chosen in _places(data, _SCHEMA, ()):
        yield from _wrong_values(data, path, allowed)
        yield from _wrong_keys(data, path, chosen)
        yield from _wrong_lists(data, path, chosen)


def _wrong_values(data: Any, path: Path, schema: dict[str, Any]) -> Iterator[Wrong]:
    if not path:
        return
    yield _replaced("no value", data, path, None)
    for kind, value in _bad_values(path, schema):
        yield _replaced(kind, data, path, value)


def _bad_values(path: Path, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    allows = jsonschema.Draft202012Validator({"$defs": _SCHEMA["$defs"], **schema}).is_valid
    yield from ((f"{str(value)[:20]!r} for a value", value) for value in _STRANGE if not allows(value))
    for bound, step in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            yield "out of range", schema[bound] + step
    if "x-duration" in schema:
        yield from (("no duration", value) for value in _NO_DURATION)
        least, most = (_ANY_DURATION.parse(text) for text in schema["x-duration"].split(" to "))
        yield from (("out of range", format_duration(v)) for v in (least / 2, most + 3600) if not least <= v <= most)
    if schema.get("format") == "regex":
        yield from (("no regular expression", value) for value in _NO_REGEX)
    if _takes_url(schema):
        yield from (("no URL", value) for value in _NO_URL)
    name = _NAMES.get(str(path[-1] if isinstance(path[-1], str) else path[-2]))
    if name is not None and path[0] == "routes" and "pattern" in schema:
        yield "dangling name", name


def _takes_url(schema: dict[str, Any]) -> bool:
    return schema.get("format") == "uri" or any(_takes_url(option) for option in schema.get("anyOf", ()))


def _wrong_keys(data: Any, path: Path, schema: dict[str, Any]) -> Iterator[Wrong]:
    here = _at(data, path)
    if not isinstance(here, dict):
        return
    for key in here:
        yield _changed("key twice", data, path, {**here, key: Twice(here[key])}, key)
    if schema.get("additionalProperties") is not False:
        return
    yield _changed("unknown key", data, path, {**here, "surprise": 1}, "surprise")
    for key in here:
        rest = {name: value for name, value in here.items() if name != key}
        yield _changed("misspelt key", data, path, {**rest, f"{key}x": here[key]}, f"{key}x")
        if key in _needed(schema, here):
            yield _changed("missing key", data, path, rest)


def _needed(schema: dict[str, Any], here: dict[str, Any]) -> set[str]:
    one_of = {key for option in schema.get("oneOf", ()) for key in option["required"] if key in here}
    return set(schema.get("required", ())) | one_of


def _wrong_lists(data: Any, path: Path, schema: dict[str, Any]) -> Iterator[Wrong]:
    here = _at(data, path)
    if not isinstance(here, list):
        return
    for index, item in enumerate(here):
        if path[-1:] != ("endpoints",):
            yield _changed("item twice", data, path, [*here, copy.deepcopy(item)], len(here), index)
        elif isinstance(item, str):
            yield _changed("other scheme", data, path, [*here, _other_scheme(item)])
        if len(here) == 1 and schema.get("minItems"):
            yield _replaced("empty list", data, path, [])


def _other_scheme(url: str) -> str:
    return url.replace("http:", "https:") if url.startswith("http:") else url.replace("https:", "http:")


def _replaced(kind: str, data: Any, path: Path, value: Any) -> Wrong:
    written = Written(_with(data, path, Inline(value)))
    return Wrong(kind, _text_of(path), written.text.encode(), frozenset({written.first[path]}))


def _changed(kind: str, data: Any, path: Path, value: Any, *steps: str | int) -> Wrong:
    """``steps`` are what is wrong in the changed value, any one of them; without, the value itself."""
    written = Written(_with(data, path, value))
    places: list[Path] = [(*path, step) for step in steps] or [path]
    lines = {line for at in places for line in range(written.first[at], written.last[at] + 1)}
    return Wrong(kind, _text_of(places[0]), written.text.encode(), frozenset(lines))


def _text_of(path: Path) -> str:
    return ".".join(map(str, path)) or "the whole"


def _places(data: Any, allowed: dict[str, Any], path: Path) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Every value, the schema of what may stand there, and of these alternatives the one that does."""
    schema = _resolved(allowed, data)
    yield path, allowed, schema
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _places(value, _of_key(schema, key), (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _places(item, schema["items"], (*path, index))


def _resolved(schema: dict[str, Any], data: Any) -> dict[str, Any]:
    """Without a reference. Of alternatives that are mappings or not, a mapping's; else all of them."""
    if "$ref" in schema:
        return dict(_SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    for option in schema.get("anyOf", ()):
        found = _resolved(option, data)
        if isinstance(data, dict) and found.get("type") == "object":
            return found
        if isinstance(data, list) and found.get("type") == "array":
            return {**schema, "items": found["items"]}
    return schema


def _of_key(schema: dict[str, Any], key: str) -> dict[str, Any]:
    if key in schema.get("properties", ()):
        return dict(schema["properties"][key])
    for pattern, found in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return dict(found)
    return dict(schema["additionalProperties"])


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _with(data: Any, path: Path, value: Any) -> Any:
    """A copy of ``data`` with another value at ``path``."""
    if not path:
        return value
    changed = copy.copy(data)
    changed[path[0]] = _with(data[path[0]], path[1:], value)
    return changed
