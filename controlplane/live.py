"""What is live, what became of it, and what was refused last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controlplane.compiler import Compiled
from controlplane.config import GatewayConfig, Problem
from controlplane.model import Gateway
from controlplane.rollout import GroupOutcome
from controlplane.store import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What nodes should have."""

    number: int | None
    """Its number in the history; ``None`` when it is not there."""
    origin: str
    """Where the document came from."""
    text: bytes
    document: GatewayConfig
    compiled: Compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is live, and what was refused last."""

    live: Live | None = None
    """``None`` before the first."""
    live_since: datetime | None = None
    outcome: Outcome = Outcome.PENDING
    """What became of it on the nodes that are connected."""
    groups: tuple[GroupOutcome, ...] = ()
    """The same by node group; empty before they had their time."""
    refused: tuple[Problem, ...] = ()
    """Why the newest document is not live; empty when it is."""
    refused_at: datetime | None = None

    @property
    def digest(self) -> str:
        """Hash of everything that the live document means; empty before the first."""
        return self.live.compiled.release.versions if self.live else ""

    @property
    def number(self) -> int | None:
        """That of the live document in the history; ``None`` when it is not there."""
        return self.live.number if self.live else None

    @property
    def origin(self) -> str:
        """Where the live document came from; empty before the first."""
        return self.live.origin if self.live else ""

    @property
    def gateway(self) -> Gateway | None:
        """What the live document means."""
        return self.live.compiled.gateway if self.live else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a document that somebody sent."""

    number: int
    digest: str
    changed: bool
    """Whether it means anything else than what was live before."""
    outcome: Outcome
    groups: tuple[GroupOutcome, ...]
