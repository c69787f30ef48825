"""The life of one canary. Pure: answers and loads go in, the next phase comes out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from controlplane.model import Canary
from controlplane.rollout.edition import Edition, cured
from controlplane.rollout.health import complaint
from controlplane.rollout.outcome import CanaryState, Reason
from controlplane.xds.answers import Answers
from controlplane.xds.load_book import Load

ANSWER_SECONDS: Final = 60.0
"""How long the canary's nodes have to acknowledge what they get."""

ELSEWHERE_SECONDS: Final = 10.0
"""How much longer a control plane waits that has none of the canary's nodes, for the word of those that have."""


class Phase(StrEnum):
    """How far a canary is."""

    WAITING = "waiting"
    """Its nodes have not all acknowledged."""
    HOLDING = "holding"
    """They have, and are watched."""
    PROMOTING = "promoting"
    """The other nodes follow."""
    DONE = "done"
    """Every node has it."""
    ROLLED_BACK = "rolled-back"
    """The canary's nodes are back at what the others have."""


_MOST_NODES = 20
_RUNNING = frozenset({Phase.WAITING, Phase.HOLDING})
_OPEN = _RUNNING | {Phase.PROMOTING}


class CanaryRun:
    """One release on its first nodes. Times are seconds of the caller's clock.

    Args:
        editions: what the canary's nodes get, by group; groups for which nothing changes are not there.
        is_elsewhere: whether its nodes may be connected to other control planes, or are not back yet: until one comes,
            time is all that is waited for, and what others find out ends it here too.
    """

    def __init__(
        self, *, canary: Canary, editions: Mapping[str, Edition], now: float, is_elsewhere: bool = False
    ) -> None:
        self.editions = editions
        self.phase = Phase.WAITING
        self.why = ""
        self.answers: Mapping[str, Answers] = {}
        self.load = Load()
        self.canary = canary
        self._is_elsewhere = is_elsewhere
        self._since = now
        self._watched_since = now

    @property
    def is_running(self) -> bool:
        """Whether only the canary's nodes have the release, and it is open what becomes of it."""
        return self.phase in _RUNNING

    @property
    def is_open(self) -> bool:
        """Whether nodes are still to answer because of it."""
        return self.phase in _OPEN

    @property
    def nodes(self) -> frozenset[str]:
        """Ids of the nodes that are connected and have it, or are to have it."""
        return frozenset[str]().union(*(one.nodes for one in self.answers.values()))

    def hear(
        self,
        answers: Mapping[str, Answers],
        now: float,
        at: datetime,
        *,
        stable: Mapping[str, Edition],
        load: Load,
        others: Load,
    ) -> Reason | None:
        """Follow what the canary's nodes say, by group; why it has to be rolled back, if it has.

        Args:
            answers: of the canary's nodes, by group.
            now: seconds.
            at: the same moment by the calendar, to be told to people.
            stable: what all other nodes have.
            load: of the canary's nodes since it holds.
            others: the same of the other nodes of the groups.
        """
        self.answers, self.load = answers, load
        if not self.is_running:
            return None
        if self._is_elsewhere and self.nodes:
            self._is_elsewhere, self.phase, self._since = False, Phase.WAITING, now
        refusals = [
            refusal
            for group, edition in self.editions.items()
            for refusal in cured(answers.get(group, Answers()).refusals, edition, stable[group])
        ]
        if refusals:
            return self._end(Reason.of(refusals, at))
        why = self._wait(now) if self.phase is Phase.WAITING else self._hold(now, others)
        return None if why is None else self._end(self.reason(why, at))

    def reason(self, why: str, at: datetime) -> Reason:
        """Why it ends, said of each of its nodes."""
        return Reason(at=at, why=why, refused=dict.fromkeys(sorted(self.nodes)[:_MOST_NODES], why))

    def end(self, phase: Phase, why: str = "") -> None:
        """End it for a reason that is not its own."""
        self.phase, self.why = phase, why

    def promoted(self, groups_settled: bool) -> None:
        """Whether the other nodes have answered too."""
        if self.phase is Phase.PROMOTING and groups_settled:
            self.phase = Phase.DONE

    def state_of(self, group: str) -> CanaryState | None:
        """How far it is in ``group``; ``None`` when nothing changes there."""
        if group not in self.editions:
            return None
        nodes = self.answers[group].nodes if group in self.answers else frozenset()
        return CanaryState(
            phase=self.phase,
            why=self.why,
            nodes=tuple(sorted(nodes)),
            requests=self.load.total,
            errors=self.load.failed,
        )

    def _wait(self, now: float) -> str | None:
        waiting = sorted(node for one in self.answers.values() for node in one.waiting)
        if (self.nodes or self._is_elsewhere) and not waiting:
            self.phase, self._watched_since = Phase.HOLDING, now
            return None
        if now < self._since + ANSWER_SECONDS:
            return None
        return f"no answer within {ANSWER_SECONDS:g} s from {', '.join(waiting[:5]) or 'any node'}"

    def _hold(self, now: float, others: Load) -> str | None:
        why = complaint(self.load, others, max_error_rate=self.canary.max_error_rate)
        seconds = self.canary.hold + (ELSEWHERE_SECONDS if self._is_elsewhere else 0)
        if why is not None or now < self._watched_since + seconds:
            return why
        if any(one.waiting for one in self.answers.values()):
            late = now >= self._watched_since + seconds + ANSWER_SECONDS
            return "a node does not answer any more" if late else None
        if not self.nodes and not self._is_elsewhere:
            return "none of its nodes is connected any more"
        self.phase = Phase.PROMOTING
        return None

    def _end(self, reason: Reason) -> Reason:
        self.end(Phase.ROLLED_BACK, reason.why)
        return reason
