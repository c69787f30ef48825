"""What has become of a release, for people and for the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from controlplane.store import Outcome
from controlplane.xds.answers import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOutcome:
    """What became of a release on the nodes of one group."""

    group: str
    outcome: Outcome
    waiting: tuple[str, ...] = ()
    """Ids of nodes that have not answered."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Ids of nodes that have refused it, and their words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOutcome:
    """What became of a release."""

    outcome: Outcome
    groups: tuple[GroupOutcome, ...]

    @classmethod
    def of(cls, groups: Iterable[GroupOutcome]) -> Self:
        """As long as something is pending, all is."""
        found = tuple(groups)
        return cls(outcome=_worst(found, (Outcome.PENDING, Outcome.REFUSED, Outcome.TIMED_OUT)), groups=found)

    def at_deadline(self) -> ReleaseOutcome:
        """The same when nobody waits any longer: what has no answer has timed out; a canary goes on."""
        groups = tuple(replace(group, outcome=_at_deadline(group)) for group in self.groups)
        order = (Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.PENDING)
        return ReleaseOutcome(outcome=_worst(groups, order), groups=groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something was taken back, or should be."""

    at: datetime
    why: str
    node: str = ""
    """Who refused first; empty when nobody did."""
    type_url: str = ""
    resources: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Ids of the nodes that refuse, and their words."""

    @classmethod
    def of(cls, refusals: Iterable[Refusal], at: datetime) -> Self:
        """What the nodes say; there is at least one."""
        first, *rest = refusals
        return cls(
            at=at,
            why=first.words,
            node=first.node,
            type_url=first.type_url,
            resources=first.blamed[:_MOST_NAMED],
            refused={refusal.node: refusal.words for refusal in (*reversed(rest), first)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryState:
    """How far the canary of a group is."""

    phase: str
    why: str
    """Why it was rolled back, or promoted without having been watched; empty otherwise."""
    nodes: tuple[str, ...]
    """Ids of the nodes that are connected and have the new version."""
    requests: int
    """To the upstreams of those nodes, since they are watched."""
    errors: int
    """Of these, answered with a 5xx or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """What one group has and should have. Versions are hashes of everything that its nodes get."""

    name: str
    live: str
    desired: str
    """What the newest release has for it; another one than :attr:`live` after a roll-back, and during a canary."""
    accepted: str | None
    """The newest version that all its nodes have acknowledged."""
    waiting: tuple[str, ...]
    refused: Mapping[str, str]
    """Nodes that refuse what is live, and their words."""
    rolled_back: Reason | None
    canary: CanaryState | None


def _worst(groups: Iterable[GroupOutcome], order: Iterable[Outcome]) -> Outcome:
    found = {group.outcome for group in groups}
    return next((outcome for outcome in order if outcome in found), Outcome.APPLIED)


def _at_deadline(group: GroupOutcome) -> Outcome:
    if group.outcome is Outcome.PENDING and group.refused:
        return Outcome.REFUSED
    return Outcome.TIMED_OUT if group.outcome is Outcome.PENDING and group.waiting else group.outcome


_MOST_NAMED = 20
