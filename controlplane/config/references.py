"""Whether every name that a document uses is one that it defines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from controlplane.config.document import GatewayConfig
from controlplane.config.problems import MAX_LISTED, Path, Problem, quoted, suggestion

_SECTIONS = {"upstream": "upstreams", "authenticate": "authentication", "rate_limits": "rate_limits"}
"""Key of a route to the section whose names it holds."""


def dangling(data: Any) -> list[Problem]:
    """A problem for each name in a route that nothing has, for as many as are listed.

    Works on plain data of any shape, so that it also speaks about a document that has mistakes of other kinds; what
    is not where it belongs is passed over.
    """
    if not isinstance(data, dict):
        return []
    defined = {section: _names(data, section) for section in _SECTIONS.values()}
    found = (
        _problem(path, section, name, known)
        for path, section, name in _uses(data.get("routes"))
        if (known := defined[section]) is not None and name not in known
    )
    return list(islice(found, MAX_LISTED))


def _problem(path: Path, section: str, name: str, known: set[str]) -> Problem:
    message = f"nothing in {section} is called {quoted(name)}"
    return Problem(path=path, code="unknown-name", message=message, hint=suggestion(name, known))


def _names(data: dict[str, Any], section: str) -> set[str] | None:
    """The names that a section defines; ``None`` when there is no telling."""
    if section not in data:
        misspelt = any(key not in GatewayConfig.model_fields for key in data)
        return None if misspelt else set()
    value = data[section]
    if isinstance(value, dict):
        return {name for name in value if isinstance(name, str)}
    if isinstance(value, list):
        named = (item.get("name") for item in value if isinstance(item, dict))
        return {name for name in named if isinstance(name, str)}
    return None


def _uses(routes: Any) -> Iterator[tuple[Path, str, str]]:
    """Path, section and name of every name in every route."""
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict):
            continue
        for key, section in _SECTIONS.items():
            value = route.get(key)
            if isinstance(value, str) and key == "upstream":
                yield ("routes", index, key), section, value
            for position, name in enumerate(value if isinstance(value, list) else ()):
                if isinstance(name, str):
                    yield ("routes", index, key, position), section, name
