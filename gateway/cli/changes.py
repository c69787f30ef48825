"""What differs between two documents, as lines: ``+`` came, ``-`` went, ``~`` changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.cli.output import plain

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def difference_lines(difference: dict[str, Any]) -> Iterable[str]:
    """A difference for people: what the documents mean, then the xDS resources of each node group."""
    yield from (f"warning: {_words(warning)}" for warning in difference.get("warnings", ()))
    if not has_changes(difference):
        yield "no difference in meaning"
    for change in difference["changes"]:
        yield plain(f"{_MARKS[change['kind']]} {change['section']} {change['name']}")
        for field in change["fields"]:
            yield plain(f"    {field['path']}: {_value(field['before'])} -> {_value(field['after'])}")
    yield from _resource_lines(difference.get("resources", ()), "xDS")
    for group in difference.get("groups", ()):
        yield from _resource_lines(group["resources"], f"{group['group']}: xDS")


def has_changes(difference: dict[str, Any]) -> bool:
    """Whether anything differs, in the document's words or in what nodes get."""
    groups = difference.get("groups", ())
    return bool(difference["changes"] or difference.get("resources") or any(one["resources"] for one in groups))


def _resource_lines(resources: Iterable[dict[str, Any]], title: str) -> Iterable[str]:
    for one in resources:
        yield plain(f"{title} {one['type_url'].rpartition('/')[2]}")
        for kind, mark in _MARKS.items():
            yield from (plain(f"    {mark} {name}") for name in one[kind])


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _words(warning: object) -> str:
    if not isinstance(warning, dict):
        return plain(warning)
    return plain(": ".join(str(warning[key]) for key in ("where", "message") if warning.get(key)))
