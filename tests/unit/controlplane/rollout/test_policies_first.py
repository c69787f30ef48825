"""The services hear first, and have a veto; they always hold what a live group needs."""

from __future__ import annotations

from controlplane.rollout.group import PROBATION_SECONDS
from controlplane.store import Outcome
from controlplane.translate import SERVICES
from tests.unit.controlplane.rollout.fleet import FleetNode, Rig, release


def _service(**changes: object) -> FleetNode:
    return FleetNode("authz", group=SERVICES, **changes)  # type: ignore[arg-type]  # the fields of a node


async def test_policies_are_acked_before_routes_are_published() -> None:
    """The step in between has the new policy and the old routes."""
    rig = Rig(FleetNode("a"), _service())
    await rig.publish("one")
    shown: list[tuple[str | None, frozenset[str]]] = []
    rig.fleet.cache.watch("edge", lambda _: shown.append((rig.fleet.live(), rig.fleet.served())))
    rig.fleet.cache.watch(SERVICES, lambda _: shown.append((rig.fleet.live(), rig.fleet.served())))
    del shown[:]
    await rig.publish("two")
    both = frozenset({"one", "two"})
    assert shown == [("one", both), ("two", both)]
    assert rig.fleet.nodes["authz"].has == "two+one", "what the others run stands beside"


async def test_a_change_without_policies_waits_for_nobody() -> None:
    """One step, although the service is silent."""
    rig = Rig(_service())
    await rig.publish("one", policy="one+two")
    before = rig.fleet.cache.get(SERVICES)
    rig.fleet.nodes["authz"].is_silent = True
    await rig.publish("two", policy="one+two")
    assert rig.fleet.live() == "two"
    assert rig.fleet.cache.get(SERVICES) is before


async def test_the_first_release_of_a_control_plane_goes_out_whole() -> None:
    """After a restart nodes hold what they had: a step with policies alone would tell them to drop the rest."""
    rig = Rig(_service(is_silent=True))
    await rig.publish("one")
    assert rig.fleet.live() == "one"


async def test_a_service_that_is_silent_does_not_stop_a_change() -> None:
    """After the deadline the routes go out all the same."""
    rig = Rig(FleetNode("a"), _service())
    await rig.publish("one")
    rig.fleet.nodes["authz"].is_silent = True
    await rig.publish("two")
    assert rig.fleet.live() == "two"


async def test_a_policy_that_is_refused_stops_the_release() -> None:
    """No Envoy hears of it; the services go back; the same policy is not sent again."""
    rig = Rig(FleetNode("a"), _service(refuses={"two"}))
    await rig.publish("one")
    new = release("two")
    assert await rig.rollout.publish(new)
    outcome = await rig.rollout.settle(new, 1)
    assert outcome.outcome is Outcome.REFUSED
    assert {group.group: dict(group.refused) for group in outcome.groups}[SERVICES] == {"authz": "default: two is bad"}
    assert rig.fleet.live() == "one"
    assert rig.fleet.served() == {"one"}
    assert ("a", "two") not in rig.fleet.shown
    seen = rig.fleet.shown.count(("authz", "two+one"))
    await rig.publish("other", policy="two")
    assert rig.fleet.live() == "one"
    assert rig.fleet.shown.count(("authz", "two+one")) == seen
    await rig.publish("three")
    assert rig.fleet.live() == "three"


async def test_a_service_that_comes_later_and_refuses_takes_the_release_back() -> None:
    """Every group whose routes count on the policy goes back with it."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    await rig.publish("two")
    rig.fleet.nodes["authz"] = _service(refuses={"two"})
    await rig.rollout.review()
    assert rig.fleet.live() == "one"
    assert rig.fleet.served() == {"one"}
    state = rig.state()
    assert state.rolled_back is not None
    assert state.rolled_back.node == "authz"


async def test_former_policies_go_when_nobody_can_need_them() -> None:
    """All nodes have acknowledged, and the probation is over: a roll-back can't come any more."""
    rig = Rig(FleetNode("a"), _service())
    await rig.publish("one")
    await rig.publish("two")
    assert rig.fleet.served() == {"one", "two"}
    rig.now += PROBATION_SECONDS
    await rig.rollout.review()
    assert rig.fleet.served() == {"two"}


async def test_equal_in_means_nothing_out() -> None:
    """Nobody hears of a save that changes nothing."""
    rig = Rig(FleetNode("a"))
    assert await rig.publish("one")
    assert not await rig.publish("one")
