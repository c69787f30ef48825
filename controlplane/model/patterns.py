"""Patterns of a node selector: texts in which ``*`` stands for any characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

ANY = "*"

Matches = Callable[[str], object]
"""True for a text that a pattern means."""


def compiled(patterns: Iterable[str], *, is_identity: bool = False) -> Matches:
    """Whether a text is one that any of ``patterns`` means. The time is bounded by their lengths multiplied.

    Args:
        patterns: without ``**``.
        is_identity: whether ``*`` stops at ``.`` and ``/``, the borders of a name's parts; alone it is every text.
    """
    inside = "[^./]" if is_identity else "."
    written = (".*" if pattern == ANY else _regex(pattern, inside) for pattern in patterns)
    return re.compile("|".join(written), re.DOTALL).fullmatch


def matches_all_of(pattern: str, other: str, *, is_identity: bool = False) -> bool:
    """Whether every text that ``other`` means is one that ``pattern`` means."""
    # A star of the other is only taken by a star, so that what stands for one text here stands for all of them.
    return bool(compiled([pattern], is_identity=is_identity)(other))


def _regex(pattern: str, inside: str) -> str:
    """Atomic groups, for the first place where a part fits is always as good as any other: no search is repeated."""
    first, *rest = map(re.escape, pattern.split(ANY))
    if not rest:
        return first
    middle = "".join(f"(?>{inside}*?{part})" for part in rest[:-1])
    return f"{first}{middle}{inside}*{rest[-1]}"
