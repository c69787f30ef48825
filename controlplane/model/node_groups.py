"""Node groups: which nodes get what. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSelector:
    """Which nodes are meant: those that every key which is not empty agrees to, by any of its patterns.

    In a pattern ``*`` stands for any text; in :attr:`identities` for any text without ``.`` and ``/``, and alone for
    every identity.
    """

    ids: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Key to patterns of its value; a node without the key is not meant."""
    identities: tuple[str, ...] = ()
    """Names that the node's certificate proves. All else is what a node says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes that get the same."""

    name: str
    nodes: NodeSelector = NodeSelector()
    listeners: tuple[str, ...] = ()
    """Names of listeners, in the order of the document; empty is every one."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Label to values: routes that have one of the values for each label; empty is every route."""


EDGE = NodeGroup(name="edge")
"""The group of a document that names none: every node gets everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Nodes that get a release first. Either :attr:`share` or :attr:`nodes` is set."""

    share: float | None = None
    """Part of the nodes of each group, above 0 and below 1."""
    nodes: NodeSelector | None = None
    hold: float
    """How long the first nodes are watched before the others follow."""
    max_error_rate: float
    """Part of the requests that may fail (5xx) meanwhile, from 0 to 1."""
