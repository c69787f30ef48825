"""Whether every name that a document uses is one that it defines, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from controlplane.config.document import GatewayConfig
from controlplane.config.problems import MAX_LISTED, Path, Problem, quoted, suggestion

_SECTIONS = {
    "routes": {
        "upstream": "upstreams",
        "split": "upstreams",
        "mirror": "upstreams",
        "authenticate": "authentication",
        "rate_limits": "rate_limits",
    },
    "listeners": {"tcp": "upstreams"},
    "upstreams": {"fallback": "upstreams"},
    "node_groups": {"listeners": "listeners"},
}
"""Section to the keys of its items that hold names, and the sections whose names these are."""


_KEY = 2
"""Length of the path to a member of a section that is a mapping: its key is its name."""


def dangling(data: Any) -> list[Problem]:
    """A problem for each name that nothing has, for as many as are listed.

    Works on plain data of any shape, so that it also speaks about a document that has mistakes of other kinds; what
    is not where it belongs is passed over.
    """
    if not isinstance(data, dict):
        return []
    defined = {section: _names(data, section) for keys in _SECTIONS.values() for section in keys.values()}
    found = (
        _problem(path, section, name, known)
        for user in _SECTIONS
        for path, section, name in _uses(user, data.get(user))
        if (known := defined[section]) is not None and name not in known
    )
    return list(islice(found, MAX_LISTED))


def unused(document: GatewayConfig) -> tuple[Problem, ...]:
    """What is defined and nothing uses, located: allowed, and perhaps not meant."""
    data = document.model_dump()
    used = {(section, name) for user in _SECTIONS for _, section, name in _uses(user, data.get(user))}
    defined = (
        *((("upstreams", index, "name"), "upstreams", one.name) for index, one in enumerate(document.upstreams)),
        *((("authentication", name), "authentication", name) for name in document.authentication),
        *((("rate_limits", name), "rate_limits", name) for name in document.rate_limits),
    )
    found = (
        Problem(path=path, code="unused", message=f"nothing uses {quoted(name)} of {section}", at_key=len(path) == _KEY)
        for path, section, name in defined
        if (section, name) not in used
    )
    return tuple(document.places.locate(problem) for problem in islice(found, MAX_LISTED))


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


def _uses(user: str, items: Any) -> Iterator[tuple[Path, str, str]]:
    """Path, section and name of every name in every item of one section."""
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            continue
        for key, section in _SECTIONS[user].items():
            value = item.get(key)
            if isinstance(value, str) and key in ("upstream", "fallback", "tcp"):
                yield (user, index, key), section, value
            for position, member in enumerate(value if isinstance(value, list) else ()):
                path: Path = (user, index, key, position)
                if isinstance(member, dict):  # a share, a mirror, or a way of tcp
                    path, member = (*path, "upstream"), member.get("upstream")
                if isinstance(member, str):
                    yield path, section, member
