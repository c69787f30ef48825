"""What the rollout tells the world: events, log lines, a metric, and answers to who asks."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from prometheus_client import CollectorRegistry, Gauge

from controlplane.rollout.canary import CanaryRun
from controlplane.rollout.group import Group
from controlplane.rollout.outcome import GroupOutcome, GroupState
from controlplane.rollout.ports import Events
from controlplane.store import Outcome
from controlplane.xds.answers import Answers

_log = structlog.get_logger(__name__)


class Teller:
    """Tells each thing once."""

    def __init__(self, events: Events, registry: CollectorRegistry) -> None:
        self._events = events
        self._rolled_back = Gauge(
            "gateway_config_rolled_back",
            "Whether a group runs something older than the newest release has for it, for that was refused.",
            ["group"],
            registry=registry,
        )
        self._measured: set[str] = set()
        self._refusals: dict[str, frozenset[tuple[str, str, str]]] = {}
        self._canary: tuple[object, ...] = ()

    def rolled_back(self, group: Group) -> None:
        """A group has gone back."""
        reason = group.rolled_back
        if reason is None:
            return
        told = {
            "group": group.name,
            "version": group.desired.version,
            "back_to": group.live.version,
            "node": reason.node,
            "type": reason.type_url,
            "resources": list(reason.resources),
            "reason": reason.why,
        }
        _log.error("a group was rolled back", **told)
        self._events.publish("group-rolled-back", **told)

    def look_at(self, groups: Iterable[Group], canary: CanaryRun | None) -> None:
        """Tell what is new about them."""
        groups = list(groups)
        for group in groups:
            self._rolled_back.labels(group.name).set(group.rolled_back is not None)
            self._tell_refusals(group)
        names = {group.name for group in groups}
        for name in self._measured - names:
            self._rolled_back.remove(name)
            self._refusals.pop(name, None)
        self._measured = names
        if canary is not None:
            self._tell_canary(canary)

    def skipped_canary(self, groups: Iterable[str]) -> None:
        """A canary had no node to begin with."""
        _log.warning("the canary picks no connected node: every node gets the release at once", groups=list(groups))
        self._events.publish("canary-skipped", groups=list(groups), reason="no connected node is picked")

    def _tell_refusals(self, group: Group) -> None:
        """Of what stays live although somebody refuses it."""
        found = frozenset((one.node, one.type_url, one.words) for one in group.answers.refusals)
        for node, type_url, words in sorted(found - self._refusals.get(group.name, frozenset())):
            _log.error("a node refuses what is live, and there is nothing better", group=group.name, node=node)
            self._events.publish("group-refused", group=group.name, node=node, type=type_url, reason=words)
        self._refusals[group.name] = found

    def _tell_canary(self, canary: CanaryRun) -> None:
        now = (canary, canary.phase)
        if now == self._canary:
            return
        self._canary = now
        told = {
            "groups": sorted(canary.editions),
            "nodes": sorted(canary.nodes)[:_MOST_NODES],
            "requests": canary.load.total,
            "errors": canary.load.failed,
            "reason": canary.why,
        }
        _log.info("canary", phase=canary.phase, **told)
        self._events.publish(f"canary-{canary.phase}", **told)


def state_of(group: Group, canary: CanaryRun | None) -> GroupState:
    """How ``group`` stands."""
    return GroupState(
        name=group.name,
        live=group.live.version,
        desired=group.desired.version,
        accepted=group.accepted.version if group.accepted is not None else None,
        waiting=group.answers.waiting,
        refused=_refused(group.answers),
        rolled_back=group.rolled_back,
        canary=canary.state_of(group.name) if canary is not None else None,
    )


def outcome_of(group: Group, canary: CanaryRun | None) -> GroupOutcome:
    """What became of the newest release in ``group``, so far."""
    if canary is not None and canary.is_open and group.name in canary.editions:
        waiting = canary.answers[group.name].waiting if group.name in canary.answers else ()
        return GroupOutcome(group=group.name, outcome=Outcome.PENDING, waiting=waiting)
    if group.rolled_back is not None:
        return GroupOutcome(group=group.name, outcome=Outcome.REFUSED, refused=group.rolled_back.refused)
    answers = group.answers
    outcome = Outcome.REFUSED if answers.refusals else Outcome.APPLIED
    return GroupOutcome(
        group=group.name,
        outcome=Outcome.PENDING if answers.waiting else outcome,
        waiting=answers.waiting,
        refused=_refused(answers),
    )


def _refused(answers: Answers) -> dict[str, str]:
    return {refusal.node: refusal.words for refusal in answers.refusals}


_MOST_NODES = 20
