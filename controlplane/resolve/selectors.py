"""Whether one node selector means every node that another means."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.model import NodeSelector
from controlplane.model.patterns import matches_all_of

_SAID = ("ids", "clusters", "regions", "zones")


def takes_all_of(one: NodeSelector, other: NodeSelector) -> bool:
    """Whether no node that ``other`` means is one that ``one`` does not.

    Seen key by key and pattern by pattern; several patterns that only cover one together are not seen.
    """
    return (
        all(_cover(getattr(one, key), getattr(other, key)) for key in _SAID)
        and all(_cover(patterns, other.metadata.get(key, ())) for key, patterns in one.metadata.items())
        and _cover(one.identities, other.identities, is_identity=True)
    )


def _cover(patterns: Iterable[str], others: Iterable[str], *, is_identity: bool = False) -> bool:
    wide, narrow = tuple(patterns), tuple(others)
    if not wide:
        return True
    return bool(narrow) and all(any(matches_all_of(p, q, is_identity=is_identity) for p in wide) for q in narrow)
