"""Which group a node is in. Pure: it is told of groups, and asked about nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from controlplane.model import Canary, NodeGroup, NodeSelector
from controlplane.model.patterns import compiled
from controlplane.translate import SERVICES
from controlplane.xds.messages import Node
from servicekit.contracts import ApiKeys, AuthPolicy, LimitOverrides, LimitPolicy

UNASSIGNED: Final = "unassigned"
"""Where nodes wait until the first document is live: nothing is known of what they should have."""

CANARY_SUFFIX: Final = "#canary"

API_KEYS: Final = f"{SERVICES}#api-keys"
LIMIT_OVERRIDES: Final = f"{SERVICES}#limit-overrides"
BESIDE_RELEASES: Final[Mapping[str, str]] = {
    ApiKeys.TYPE_URL: API_KEYS,
    LimitOverrides.TYPE_URL: LIMIT_OVERRIDES,
}
"""Where services are in as far as they ask for what comes and goes beside all releases, by its type."""

_POLICIES = frozenset({AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL})
_HASH_BYTES = 8

_Chosen = Callable[[Node, frozenset[str]], bool]


class Placement:
    """The node groups that are live now, and the canary if there is one.

    Args:
        service_identities: patterns of what the services' certificates prove; nobody else is given policies. Without
            any, everybody is who asks.
    """

    def __init__(self, *, service_identities: Sequence[str] = ()) -> None:
        self._is_service = _chooser(NodeSelector(identities=tuple(service_identities)))
        self._groups: tuple[tuple[str, _Chosen], ...] | None = None
        self._picked: _Chosen | None = None

    def assign(self, groups: Sequence[NodeGroup]) -> None:
        """From now on nodes belong to ``groups``, each to the first that means it."""
        self._groups = tuple((group.name, _chooser(group.nodes)) for group in groups)

    def split(self, canary: Canary | None) -> None:
        """From now on the nodes that ``canary`` picks are apart from the rest of their groups; ``None`` ends that."""
        self._picked = None if canary is None else _picking(canary)

    def place(self, node: Node, identities: frozenset[str], type_url: str) -> str | None:
        """The key of what a client should have; ``None`` when no group takes it.

        Args:
            node: what the client says of itself.
            identities: what its certificate proves.
            type_url: what it asks for first: only the gateway's services ask for policies, API keys and overrides.
        """
        if type_url in _POLICIES:
            return SERVICES if self._is_service(node, identities) else None
        if type_url in BESIDE_RELEASES:
            return BESIDE_RELEASES[type_url] if self._is_service(node, identities) else None
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
        return _chooser(canary.nodes)
    share = canary.share or 0.0
    return lambda node, _identities: _position(node.id) < share


def _position(node_id: str) -> float:
    """Where a node stands between 0 and 1: the same for ever and on every replica."""
    digest = hashlib.sha256(node_id.encode()).digest()[:_HASH_BYTES]
    return int.from_bytes(digest) / (1 << 8 * _HASH_BYTES)


def _chooser(selector: NodeSelector) -> _Chosen:
    """Asked for every stream whenever the groups change, so what can be done before is done here."""
    said = [(attrgetter(name), compiled(texts)) for key, name in _SAID.items() if (texts := getattr(selector, key))]
    metadata = [(key, compiled(texts)) for key, texts in selector.metadata.items()]
    proves = compiled(selector.identities, is_identity=True) if selector.identities else None

    def chosen(node: Node, identities: frozenset[str]) -> bool:
        for read, agrees in said:
            if not agrees(read(node)):
                return False
        for key, agrees in metadata:
            if key not in node.metadata or not agrees(node.metadata[key]):
                return False
        return proves is None or any(map(proves, identities))

    return chosen


_SAID: Mapping[str, str] = {"ids": "id", "clusters": "cluster", "regions": "region", "zones": "zone"}
"""Key of a selector to what it is about in a node."""
