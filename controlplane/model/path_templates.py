"""Templates of paths: what stands in the place of segments, as regular expressions and as other paths.

A segment is itself, ``*`` or ``{name}`` for any one, or, as the last, ``**`` or ``{name=**}`` for any number of them.
"""

from __future__ import annotations

import re
from typing import Final

ONE: Final = "*"
REST: Final = "**"

_VARIABLE: Final = re.compile(r"\{(?P<name>[A-Za-z0-9_]+)(?P<rest>=\*\*)?\}")
_EXPRESSIONS: Final = {ONE: "[^/]+", REST: ".*"}


def segments(template: str) -> tuple[str, ...]:
    """Its segments, :data:`ONE` and :data:`REST` for those that may be anything."""
    return tuple(_general(segment) for segment in template[1:].split("/"))


def expression(template: str) -> str:
    """The same as a regular expression (RE2) for the whole path; its groups are the variables in their order."""
    return "".join(f"/{_expression(segment)}" for segment in template[1:].split("/"))


def substitution(template: str, target: str) -> str:
    r"""``target`` with references (``\1``) to the groups of :func:`expression` for the variables of ``template``."""
    numbers = {found["name"]: number for number, found in enumerate(_VARIABLE.finditer(template), 1)}
    return _VARIABLE.sub(lambda found: f"\\{numbers[found['name']]}", target)


def _general(segment: str) -> str:
    found = _VARIABLE.fullmatch(segment)
    if found is None:
        return segment
    return REST if found["rest"] else ONE


def _expression(segment: str) -> str:
    general = _general(segment)
    known = _EXPRESSIONS.get(general)
    if known is None:
        return re.escape(segment)
    return f"({known})" if segment != general else known
