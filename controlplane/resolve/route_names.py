"""Names of routes: given ones kept, the others derived from what the route matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from controlplane.model import RouteMatch

_LONGEST = 200


def _methods(match: RouteMatch) -> str:
    return f"{','.join(match.methods)} " if match.methods else ""


def _hosts(match: RouteMatch) -> str:
    return "" if match.hosts == ("*",) else ",".join(match.hosts)


_FORMS: tuple[Callable[[RouteMatch], str], ...] = (
    lambda match: match.path.value,
    lambda match: f"{_methods(match)}{match.path.value}",
    lambda match: f"{_methods(match)}{_hosts(match)}{match.path.value}",
)
"""Ever longer ways to name a match: the first that tells it from the others is taken."""


def derive_names(given: Sequence[str | None], matches: Sequence[RouteMatch]) -> list[str]:
    """One name per route, unique unless two given ones are equal.

    A name changes only when routes that match the same path come or go, so that metrics keep their series.
    """
    taken = {name for name in given if name is not None}
    derived: dict[int, str] = {}
    left = [index for index, name in enumerate(given) if name is None]
    for form in _FORMS:
        candidates = {index: form(matches[index])[:_LONGEST] for index in left}
        count = Counter(candidates.values())
        fitting = {index: name for index, name in candidates.items() if count[name] == 1 and name not in taken}
        derived.update(fitting)
        taken.update(fitting.values())
        left = [index for index in left if index not in fitting]
    for index in left:
        derived[index] = _numbered(_FORMS[-1](matches[index])[:_LONGEST], taken)
        taken.add(derived[index])
    return [derived[index] if name is None else name for index, name in enumerate(given)]


def _numbered(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}#{number}" in taken:
        number += 1
    return f"{name}#{number}" if name in taken else name
