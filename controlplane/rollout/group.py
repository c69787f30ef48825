"""What one group has, had, and should have. Pure: releases and answers go in, roll-backs come out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from controlplane.rollout.edition import Edition, cured
from controlplane.rollout.outcome import Reason
from controlplane.xds.answers import Answers

STANDING_SECONDS: Final = 60.0
"""Nodes that have been silent about something for this long, and have not refused it, are taken to have accepted it."""

PROBATION_SECONDS: Final = 600.0
"""How long a version that all nodes have accepted can still be rolled back because of one that connects later."""

_MOST_REFUSED = 16
_MOST_PASSING = 4


class Group:
    """One node group, or the services. Times are seconds of the caller's clock.

    A group whose first edition is refused keeps it: there is nothing to go back to.

    Args:
        name: of the group.
        edition: its first.
        now: seconds.
        probation: see :data:`PROBATION_SECONDS`.
    """

    def __init__(self, name: str, edition: Edition, now: float, *, probation: float = PROBATION_SECONDS) -> None:
        self.name = name
        self._probation = probation
        self.live = edition
        """What its nodes should have."""
        self.desired = edition
        """What the newest release has for it."""
        self.accepted: Edition | None = None
        """The newest edition that every connected node has acknowledged; without any, one that nobody refused."""
        self.before: Edition | None = None
        """The one accepted before :attr:`accepted`, for as long as that is on probation."""
        self.rolled_back: Reason | None = None
        """Why :attr:`desired` is not live."""
        self.answers = Answers()
        """What its nodes say to :attr:`live`."""
        self._accepted_at = now
        self._is_presumed = True  # accepted only because nobody has refused it
        self._is_proven = False
        self._has_stood = False
        self._shown_since: float | None = None
        self._passing: list[Edition] = []
        """What some nodes may still run, oldest first."""
        self._refused: OrderedDict[str, Reason] = OrderedDict()

    def publish(self, edition: Edition, now: float) -> bool:
        """Take an edition live, unless it was refused; whether nodes have to hear of it."""
        self.desired = edition
        self.rolled_back = self._refused.get(edition.version)
        if self.rolled_back is not None:
            return False
        if edition.is_as(self.live):
            self.live = edition
            self.accepted = edition if edition.is_as(self.accepted) else self.accepted
            return False
        if self._is_presumed and not self.answers.refusals:
            self.accepted = self.live
        self._go_live(edition, now)
        return True

    def refusal_of(self, edition: Edition) -> Reason | None:
        """Why an edition is not published again."""
        return self._refused.get(edition.version)

    def refuse(self, edition: Edition, reason: Reason) -> None:
        """Nodes have tried ``edition``, which is not live, and it is not to be published again as it is."""
        self.hold_back(edition, reason)
        self._remember(edition, reason)

    def hold_back(self, edition: Edition, reason: Reason | None) -> None:
        """``edition`` is what the group should have, but it does not get it (yet)."""
        self.desired, self.rolled_back = edition, reason

    def leave(self, edition: Edition) -> None:
        """Some nodes have ``edition`` and are going back to what is live."""
        self._pass(edition)

    def hear(
        self, answers: Answers, now: float, at: datetime, *, apart: Answers | None = None, may_roll_back: bool = True
    ) -> bool:
        """Follow what the nodes say to :attr:`live`; whether it was rolled back because of that.

        Args:
            answers: of all nodes that are connected.
            now: seconds.
            at: the same moment by the calendar, to be told to people.
            apart: of the canary's nodes, which may run what this group has left, too.
            may_roll_back: whether it can be rolled back at all.
        """
        self.answers = answers
        self._end_probation(now)
        if not answers.nodes:
            self._shown_since = None
        elif self._shown_since is None:
            self._shown_since = now
        refusals = cured(answers.refusals, self.live, self.fallback)
        if refusals and not may_roll_back:
            return False
        if refusals:
            self.roll_back(Reason.of(refusals, at), now)
            return True
        self._accept(now)
        if answers.nodes and _are_content(answers) and (apart is None or _are_content(apart)):
            self._passing.clear()
        return False

    @property
    def fallback(self) -> Edition | None:
        """What takes the place of :attr:`live` when a node refuses it."""
        return self.before if self.live.is_as(self.accepted) else self.accepted

    def roll_back(self, reason: Reason, now: float) -> None:
        """Go back to :attr:`fallback`, if there is one."""
        fallback = self.fallback
        if fallback is None:
            return
        self.refuse(self.live, reason)
        self._go_live(fallback, now)
        self.accepted, self.before = fallback, None

    @property
    def is_settled(self) -> bool:
        """Whether every connected node has answered."""
        return not self.answers.waiting

    def needed(self) -> Iterator[Edition]:
        """What nodes of this group may run, or go back to: the services have to know its rules."""
        kept = (self.live, self.accepted, self.before, *self._passing)
        yield from (edition for edition in kept if edition is not None)

    @property
    def wakes_at(self) -> float | None:
        """When time alone changes something."""
        times = [self._accepted_at + self._probation] if self.before is not None else []
        if self.answers.waiting and not self._has_stood and self._shown_since is not None:
            times.append(self._shown_since + STANDING_SECONDS)
        return min(times, default=None)

    def _accept(self, now: float) -> None:
        if self._shown_since is None:
            return
        self._has_stood = now >= self._shown_since + STANDING_SECONDS
        if self.answers.waiting and not self._has_stood:
            return
        if self.live.is_as(self.accepted):
            self._is_proven = self._is_proven or not (self.answers.waiting or self.answers.refusals)
            self._is_presumed = self._is_presumed and bool(self.answers.refusals)
        elif self.accepted is not None or not self.answers.refusals:
            self.accepted, self.before = self.live, self.accepted if self._is_proven else None
            self._accepted_at, self._is_proven, self._is_presumed = now, not self.answers.waiting, False
        if self.live.is_as(self.desired):
            self._refused.clear()  # the content has changed since

    def _end_probation(self, now: float) -> None:
        if now >= self._accepted_at + self._probation:
            self.before = None

    def _go_live(self, edition: Edition, now: float) -> None:
        self._pass(self.live)
        self.live, self._has_stood = edition, False
        nodes = self.answers.nodes
        self._shown_since = now if nodes else None
        self.answers = Answers(nodes=nodes, waiting=tuple(sorted(nodes)))

    def _pass(self, edition: Edition) -> None:
        others = [one for one in self._passing if not one.is_wholly(edition)]
        self._passing = [*others, edition][-_MOST_PASSING:]

    def _remember(self, edition: Edition, reason: Reason) -> None:
        self._refused[edition.version] = reason
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)


def _are_content(answers: Answers) -> bool:
    return not answers.waiting and not answers.refusals
