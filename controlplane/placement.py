"""Which group a node is in. Pure: it is told of groups, and asked about nodes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from controlplane.model import Canary, NodeGroup, NodeSelector
from controlplane.translate import SERVICES
from controlplane.xds.messages import Node
from servicekit.contracts import AuthPolicy, LimitPolicy

UNASSIGNED: Final = "unassigned"
"""Where nodes wait until the first document is live: nothing is known of what they should have."""

CANARY_SUFFIX: Final = "#canary"

_POLICIES = frozenset({AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL})
_HASH_BYTES = 8

_Pattern = Callable[[str], object]
_Chosen = Callable[[Node, frozenset[str]], bool]


class Placement:
    """The node groups that are live now, and the canary if there is one."""

    def __init__(self) -> None:
        self._groups: tuple[tuple[str, _Chosen], ...] | None = None
        self._picked: _Chosen | None = None

    def assign(self, groups: Sequence[NodeGroup]) -> None:
        """From now on nodes belong to ``groups``, each to the first that means it."""
        self._groups = tuple((group.name, _compiled(group.nodes)) for group in groups)

    def split(self, canary: Canary | None) -> None:
        """From now on the nodes that ``canary`` picks are apart from the rest of their groups; ``None`` ends that."""
        self._picked = None if canary is None else _picking(canary)

    def place(self, node: Node, identities: frozenset[str], type_url: str) -> str | None:
        """The key of what a client should have; ``None`` when no group takes it.

        Args:
            node: what the client says of itself.
            identities: what its certificate proves.
            type_url: what it asks for first: only the gateway's services ask for policies.
        """
        if type_url in _POLICIES:
            return SERVICES
        if self._groups is None:
            return UNASSIGNED
        for name, takes in self._groups:
            if takes(node, identities):
                return canary_of(name) if self._picked is not None and self._picked(node, identities) else name
        return None


def canary_of(group: str) -> str:
    """The key of the canary's nodes of a group."""
    return group + CANARY_SUFFIX


def _picking(canary: Canary) -> _Chosen:
    if canary.nodes is not None:
        return _compiled(canary.nodes)
    share = canary.share or 0.0
    return lambda node, _identities: _position(node.id) < share


def _position(node_id: str) -> float:
    """Where a node stands between 0 and 1: the same for ever and on every replica."""
    digest = hashlib.sha256(node_id.encode()).digest()[:_HASH_BYTES]
    return int.from_bytes(digest) / (1 << 8 * _HASH_BYTES)


def _compiled(selector: NodeSelector) -> _Chosen:
    fields = [(_FIELDS[key], _any_of(patterns, inside=".")) for key in _FIELDS if (patterns := getattr(selector, key))]
    metadata = {key: _any_of(patterns, inside=".") for key, patterns in selector.metadata.items()}
    proves = _any_of(selector.identities, inside="[^./]") if selector.identities else None

    def chosen(node: Node, identities: frozenset[str]) -> bool:
        return (
            all(agrees(read(node)) for read, agrees in fields)
            and _has_all(node.metadata, metadata)
            and (proves is None or any(map(proves, identities)))
        )

    return chosen


_FIELDS: Mapping[str, Callable[[Node], str]] = {
    "ids": lambda node: node.id,
    "clusters": lambda node: node.cluster,
    "regions": lambda node: node.region,
    "zones": lambda node: node.zone,
}


def _has_all(metadata: Mapping[str, str], patterns: Mapping[str, _Pattern]) -> bool:
    return all(key in metadata and agrees(metadata[key]) for key, agrees in patterns.items())


def _any_of(patterns: Iterable[str], *, inside: str) -> _Pattern:
    """Whether a text is what one of ``patterns`` says; ``inside`` is the set of characters that a ``*`` stands for."""
    written = (".*" if pattern == "*" else _regex(pattern, inside) for pattern in patterns)
    return re.compile("|".join(written), re.DOTALL).fullmatch


def _regex(pattern: str, inside: str) -> str:
    """Atomic groups, for the first place where a part fits is always as good as any other: no search is repeated."""
    first, *rest = map(re.escape, pattern.split("*"))
    if not rest:
        return first
    middle = "".join(f"(?>{inside}*?{part})" for part in rest[:-1])
    return f"{first}{middle}{inside}*{rest[-1]}"
