"""What nodes of another replica refuse goes back here too."""

from __future__ import annotations

from controlplane.store import Outcome
from tests.unit.controlplane.rollout.fleet import FleetNode, Rig, release


async def test_a_refusal_at_another_replica_takes_the_group_back() -> None:
    """Though all nodes that are connected here have accepted it; the outcome names who refused."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    await rig.publish("two")
    assert rig.fleet.live() == "two"
    await rig.rollout.refuse({"edge": {"z": "two is bad"}, "nobody": {"z": "whatever"}, "services": {}})
    assert rig.fleet.live() == "one"
    reason = rig.state().rolled_back
    assert reason is not None
    assert (reason.node, reason.refused) == ("z", {"z": "two is bad"})
    assert "group-rolled-back" in rig.told.kinds()
    assert (await rig.rollout.settle(release("two"), 0)).outcome is Outcome.REFUSED


async def test_hearing_of_it_again_changes_nothing() -> None:
    """Every replica writes down what it knows, and so each hears it from the others."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    await rig.publish("two")
    for _ in range(3):
        await rig.rollout.refuse({"edge": {"z": "two is bad"}})
    assert rig.fleet.live() == "one"
    assert rig.told.kinds().count("group-rolled-back") == 1


async def test_after_a_restart_there_is_something_to_go_back_to() -> None:
    """The last release that was accepted is published first, then the refused one: nobody need be there."""
    rig = Rig()
    await rig.publish("one")
    await rig.publish("two")
    await rig.rollout.refuse({"edge": {"z": "two is bad"}})
    assert rig.fleet.live() == "one"


async def test_the_first_stays_for_there_is_nothing_better() -> None:
    """As with a refusal of a node that is connected here."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    await rig.rollout.refuse({"edge": {"z": "one is bad"}})
    assert rig.fleet.live() == "one"
