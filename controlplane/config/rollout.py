"""``rollout``: how a change reaches the nodes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from controlplane.config.base import OneOf, Section
from controlplane.config.durations import Duration
from controlplane.config.node_groups import NodeSelector
from controlplane.config.percent import Percent


class Canary(OneOf):
    """Nodes that get a change first. The others follow when these have accepted it and stay healthy."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("share", "nodes")

    share: Annotated[float, Percent(least=0.0001, most=0.9999)] | None = None
    """This part of the nodes: always the same ones, whatever the change."""
    nodes: NodeSelector | None = None
    """These nodes, in whichever group they are."""
    hold: Annotated[float, Duration(least=0, most=86_400)] = 30.0
    """How long they are watched."""
    max_error_rate: Annotated[float, Percent()] = 0.05
    """The part of their requests that may fail (5xx) meanwhile; more, and they go back to what they had."""


class Rollout(Section):
    """How a change reaches the nodes. Without `canary`, it reaches all at once."""

    canary: Canary | None = None
    """Nodes that get a change first."""
