"""Whatever is published, acknowledged, refused, and whoever comes and goes: what holds of every group."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane.rollout import NoCanaryError
from controlplane.rollout.group import STANDING_SECONDS
from controlplane.translate import SERVICES
from tests.unit.controlplane.rollout.fleet import FleetNode, Rig, canary

CONTENTS = ("a", "b", "c", "d")
GROUPS = ("edge", "side")
contents = st.sampled_from(CONTENTS)
refused = st.sets(contents, max_size=2)


class Rollouts(RuleBasedStateMachine):
    """Two groups with up to four nodes each, and a service."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.rig = Rig(FleetNode("authz", group=SERVICES))
        self.rig.rollout._policy_deadline = 0.001
        self.count = 0
        self.spurned: set[str] = set()
        self.published: set[str] = set()
        self.stood: set[tuple[str, str]] = set()

    def teardown(self) -> None:
        """Everybody answers: then every group has its release, or what it accepted."""
        try:
            for node in self.rig.fleet.nodes.values():
                node.is_silent = False
            for _ in range(4):
                self.do(self.rig.rollout.review())
            self.check_ends()
        finally:
            self.loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to its end."""
        return self.loop.run_until_complete(work)

    @initialize(edge=contents, side=contents)
    def begin(self, edge: str, side: str) -> None:
        """The first release."""
        self.published |= {edge, side}
        self.do(self.rig.publish(edge=edge, side=side))

    @rule(edge=contents, side=contents, tried=st.booleans())
    def publish(self, edge: str, side: str, *, tried: bool) -> None:
        """Another one, perhaps as a canary."""
        self.published |= {edge, side}
        self.do(self.rig.publish(edge=edge, side=side, canary=canary() if tried else None))

    @rule(group=st.sampled_from(GROUPS), bad=refused, picked=st.booleans(), silent=st.booleans())
    def connect(self, group: str, bad: set[str], *, picked: bool, silent: bool) -> None:
        """A node comes."""
        self.count += 1
        name = f"n{self.count}"
        node = FleetNode(name, group=group, in_canary=picked, refuses=bad, is_silent=silent)
        self.rig.fleet.nodes[name] = node
        self.do(self.rig.rollout.review())

    @precondition(lambda self: len(self.rig.fleet.nodes) > 1)
    @rule(data=st.data(), bad=refused)
    def change_its_mind(self, data: st.DataObject, bad: set[str]) -> None:
        """A node answers at last, or refuses other things when it is back."""
        node = self.rig.fleet.nodes[data.draw(st.sampled_from(sorted(self.rig.fleet.nodes.keys() - {"authz"})))]
        node.is_silent, node.refuses = not node.is_silent, bad
        node.has = None if node.has in bad else node.has  # it would not run what it refuses: it was restarted
        self.do(self.rig.rollout.review())

    @precondition(lambda self: len(self.rig.fleet.nodes) > 1)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        """A node goes."""
        del self.rig.fleet.nodes[data.draw(st.sampled_from(sorted(self.rig.fleet.nodes.keys() - {"authz"})))]
        self.do(self.rig.rollout.review())

    @rule(bad=refused)
    def service_refuses(self, bad: set[str]) -> None:
        """The service refuses some rules from now on, of those that it never had."""
        self.rig.fleet.nodes["authz"].refuses = bad - self.published
        self.do(self.rig.rollout.review())

    @rule(seconds=st.sampled_from([1.0, 11.0, 61.0, 601.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        before = {name: self.standing(name) for name in GROUPS}
        self.rig.now += seconds
        self.do(self.rig.rollout.review())
        if seconds > STANDING_SECONDS:
            # What stood all the while counts, also where a canary takes its place at the end of it.
            for name, (live, nodes) in before.items():
                refused = any(live in node.refuses and not node.is_silent for node in nodes)
                if nodes and not refused and self.standing(name)[1] == nodes:
                    self.stood.add((name, live or ""))

    def standing(self, name: str) -> tuple[str | None, list[FleetNode]]:
        """What is live in a group, and the nodes that have to do with it."""
        fleet = self.rig.fleet
        return fleet.live(name), [node for node in fleet.nodes.values() if fleet.key_of(node) == name]

    @rule(promoted=st.booleans())
    def end_canary(self, *, promoted: bool) -> None:
        """By hand."""
        try:
            self.do(self.rig.rollout.promote() if promoted else self.rig.rollout.abort())
        except NoCanaryError:
            return
        self.do(self.rig.rollout.review())  # as the loop would, which it has woken

    @invariant()
    def services_hold_what_groups_need(self) -> None:
        """Every rule that a node should have, or still runs, is there, unless the services have refused it."""
        fleet = self.rig.fleet
        known = fleet.served() | self.refused_by_services()
        shown = {fleet.live(fleet.key_of(node)) for node in fleet.nodes.values() if node.group in GROUPS}
        live = {fleet.live(group) for group in GROUPS}
        runs = {node.has for node in fleet.nodes.values() if node.group in GROUPS}
        assert (shown | live | runs) - {None} <= known

    def refused_by_services(self) -> set[str]:
        """Everything that the service may ever have refused."""
        self.spurned |= self.rig.fleet.nodes["authz"].refuses
        return self.spurned

    def check_ends(self) -> None:
        """No group is on something that is refused while it has accepted something else."""
        fleet = self.rig.fleet
        for name in GROUPS:
            nodes = [node for node in fleet.nodes.values() if fleet.key_of(node) == name]
            if any(fleet.live(name) in node.refuses for node in nodes):
                proven = {content for group, content in fleet.proven if group == name}
                # What nobody refused for a minute is kept too, and may not be there to go back to.
                assert not proven or (name, fleet.live(name)) in fleet.proven | self.stood
        for state in self.rig.rollout.state():
            if (
                state.name in GROUPS
                and state.rolled_back is None
                and (state.canary is None or state.canary.phase == "done")
            ):
                assert state.live == state.desired
        for node in fleet.nodes.values():
            if node.group in GROUPS and not node.refuses:
                assert node.has == fleet.live(fleet.key_of(node))


Rollouts.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
test_rollouts = Rollouts.TestCase
