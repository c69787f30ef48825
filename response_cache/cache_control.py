"""Reads ``cache-control`` (RFC 9111 §5.2). Pure, and takes whatever upstreams send."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MEMBER = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"|")+')
"""What stands between commas that are in no quotes."""
_DIRECTIVE = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
        (?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s"]*)))?""",
    re.VERBOSE,
)
_LONGEST = 4096
_DIGITS = re.compile(r"[0-9]+")
_MOST_DIGITS = 10
FOR_EVER = 2**31
"""Seconds; RFC 9111 §1.2.2 lets what is larger count as this."""


def parse(value: str) -> Mapping[str, str]:
    """Directives by name, in lower case, with their arguments; those without one have an empty text.

    Of one that is there several times, the first counts, but for numbers the smallest. What is longer than any upstream
    has reason to write keeps nothing.
    """
    if len(value) > _LONGEST:
        return {"no-store": ""}
    found: dict[str, str] = {}
    for member in _MEMBER.findall(value):
        match = _DIRECTIVE.match(member)
        if match is None:
            continue
        name = match["name"].lower()
        argument = match["quoted"] if match["quoted"] is not None else match["token"] or ""
        if name not in found or _seconds(argument) < _seconds(found[name]):
            found[name] = argument
    return found


def seconds(directives: Mapping[str, str], name: str) -> int | None:
    """The number of a directive; 0 if it is none, for what can't be read must not be kept. ``None`` without it."""
    argument = directives.get(name)
    return None if argument is None else _seconds(argument)


def _seconds(argument: str) -> int:
    if not _DIGITS.fullmatch(argument):
        return 0
    return FOR_EVER if len(argument) > _MOST_DIGITS else min(int(argument), FOR_EVER)
