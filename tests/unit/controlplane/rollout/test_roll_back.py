"""What a refusal does: the group goes back whole, its policies stay, and nothing is tried twice."""

from __future__ import annotations

from controlplane.rollout.group import PROBATION_SECONDS, STANDING_SECONDS
from controlplane.store import Outcome
from controlplane.translate import SERVICES
from tests.unit.controlplane.rollout.fleet import FleetNode, Rig, release


async def test_a_refusal_takes_the_group_back() -> None:
    """To what it accepted last; the state, an event and a metric say who, what and why."""
    rig = Rig(FleetNode("a"), FleetNode("b", refuses={"two"}))
    await rig.publish("one")
    assert await rig.publish("two")
    assert rig.fleet.live() == "one"
    state = rig.state()
    assert state.live != state.desired
    reason = state.rolled_back
    assert reason is not None
    assert (reason.node, reason.resources, reason.refused) == ("b", ("routes",), {"b": "routes: two is bad"})
    assert ("group-rolled-back", "b") in [(kind, data.get("node")) for kind, data in rig.told.events]
    assert rig.measured() == 1


async def test_settling_tells_of_the_roll_back() -> None:
    """The outcome is that of the release, not of what the group went back to."""
    rig = Rig(FleetNode("a", refuses={"two"}))
    await rig.publish("one")
    new = release("two")
    await rig.rollout.publish(new)
    outcome = await rig.rollout.settle(new, 1)
    assert outcome.outcome is Outcome.REFUSED
    assert {group.group: dict(group.refused) for group in outcome.groups} == {
        "edge": {"a": "routes: two is bad"},
        SERVICES: {},
    }


async def test_other_groups_go_on() -> None:
    """Only the group of the node that refuses goes back; the services hold what both need."""
    rig = Rig(FleetNode("a", refuses={"two"}), FleetNode("s", group="side"))
    await rig.publish(edge="one", side="one")
    await rig.publish(edge="two", side="other")
    assert (rig.fleet.live("edge"), rig.fleet.live("side")) == ("one", "other")
    assert {"one", "other"} <= rig.fleet.served()


async def test_what_was_refused_is_not_tried_again() -> None:
    """Not with the same release, and not with another that has the same for the group."""
    rig = Rig(FleetNode("a", refuses={"two"}), FleetNode("s", group="side"))
    await rig.publish(edge="one", side="one")
    await rig.publish(edge="two", side="one")
    shown = len(rig.fleet.shown)
    assert not await rig.publish(edge="two", side="one")
    assert await rig.publish(edge="two", side="other")
    assert ("a", "two") not in rig.fleet.shown[shown:]
    assert rig.state().rolled_back is not None
    await rig.publish(edge="three", side="other")
    assert rig.fleet.live() == "three"
    assert rig.state().rolled_back is None
    assert rig.measured() == 0
    rig.fleet.nodes["a"].refuses.clear()
    await rig.publish(edge="two", side="other")
    assert rig.fleet.live() == "two", "the content has changed meanwhile, so it is tried anew"


async def test_a_node_that_comes_later_takes_the_group_back() -> None:
    """Long after everybody else accepted; after ten minutes its word does not count against all others any more."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    await rig.publish("two")
    assert rig.state().accepted == rig.state().live
    rig.now += PROBATION_SECONDS - 1
    rig.fleet.nodes["late"] = FleetNode("late", refuses={"two"})
    await rig.rollout.review()
    assert rig.fleet.live() == "one"
    await rig.publish("three")
    rig.now += PROBATION_SECONDS
    await rig.rollout.review()
    rig.fleet.nodes["later"] = FleetNode("later", refuses={"three"})
    await rig.rollout.review()
    assert rig.fleet.live() == "three"
    assert rig.state().refused == {"later": "routes: three is bad"}
    assert rig.told.kinds().count("group-refused") == 1


async def test_a_group_without_nodes_goes_back_when_the_first_refuses() -> None:
    """Nobody being there is no acceptance, however long it lasts."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    del rig.fleet.nodes["a"]
    await rig.publish("two")
    rig.now += 10 * PROBATION_SECONDS
    await rig.rollout.review()
    assert "one" in rig.fleet.served(), "a node that is away may still run it"
    rig.fleet.nodes["b"] = FleetNode("b", refuses={"two"})
    await rig.rollout.review()
    assert rig.fleet.live() == "one"


async def test_the_first_edition_stays_when_it_is_refused() -> None:
    """There is nothing to go back to, and the state says who refuses; what mends it goes out."""
    rig = Rig(FleetNode("a", refuses={"one"}))
    first = release("one")
    await rig.rollout.publish(first)
    assert (await rig.rollout.settle(first, 1)).outcome is Outcome.REFUSED
    assert rig.fleet.live() == "one"
    assert rig.state().refused == {"a": "routes: one is bad"}
    assert rig.told.kinds() == ["group-refused"]
    await rig.publish("two")
    assert rig.fleet.live() == "two"
    assert rig.state().accepted == rig.state().live


async def test_a_node_that_refuses_whatever_comes_does_not_loop() -> None:
    """After one step back there is nothing better."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    rig.fleet.nodes["a"].refuses = {"one", "two"}
    await rig.publish("two")
    for _ in range(5):
        await rig.rollout.review()
    assert rig.fleet.live() == "one"
    assert rig.told.kinds().count("group-rolled-back") == 1


async def test_a_silent_node_times_out_and_counts_as_content_later() -> None:
    """It is named; after a minute without a refusal the group is taken to have accepted."""
    rig = Rig(FleetNode("a"), FleetNode("b"))
    await rig.publish("one")
    rig.fleet.nodes["b"].is_silent = True
    new = release("two")
    await rig.rollout.publish(new)
    outcome = await rig.rollout.settle(new, 0.05)
    assert outcome.outcome is Outcome.TIMED_OUT
    assert outcome.groups[0].waiting == ("b",)
    assert (await rig.rollout.settle(new, 0)).outcome is Outcome.PENDING, "nobody waited"
    assert rig.state().accepted != rig.state().live
    assert rig.fleet.served() == {"one", "two"}, "the silent node still asks for the former rules"
    rig.now += STANDING_SECONDS
    await rig.rollout.review()
    assert rig.state().accepted == rig.state().live


async def test_what_nobody_has_answered_does_not_replace_what_has_stood() -> None:
    """A node that is silent about the next one, too, goes back to what it has run for a minute."""
    rig = Rig(FleetNode("a", is_silent=True, refuses={"one", "four"}))
    await rig.publish("one")
    await rig.publish("two")
    rig.now += STANDING_SECONDS
    await rig.rollout.review()
    await rig.publish("one")
    await rig.publish("four")
    rig.fleet.nodes["a"].is_silent = False
    await rig.rollout.review()
    assert rig.fleet.live() == "two"


async def test_what_all_have_acknowledged_is_not_replaced_by_what_nobody_has_answered() -> None:
    """Although it was accepted at first only because nobody had refused it."""
    rig = Rig()
    await rig.publish("one")
    await rig.publish("two")
    rig.fleet.nodes["a"] = FleetNode("a", refuses={"two", "three", "four"})
    await rig.rollout.review()
    assert rig.fleet.live() == "one"
    rig.fleet.nodes["a"].is_silent = True
    await rig.publish("three")
    await rig.publish("four")
    rig.fleet.nodes["a"].is_silent = False
    await rig.rollout.review()
    assert rig.fleet.live() == "one"


async def test_time_without_nodes_proves_nothing() -> None:
    """What was live for long before the first node came, which says nothing yet, does not replace what was proven."""
    rig = Rig(FleetNode("a"))
    await rig.publish("one")
    rig.fleet.nodes.pop("a")
    await rig.publish("two")
    rig.now += STANDING_SECONDS
    rig.fleet.nodes["b"] = FleetNode("b", is_silent=True)
    await rig.rollout.review()
    rig.fleet.nodes.pop("b")
    await rig.rollout.review()
    rig.now += PROBATION_SECONDS
    rig.fleet.nodes["c"] = FleetNode("c", refuses={"two"})
    await rig.rollout.review()
    assert rig.fleet.live() == "one"


async def test_a_group_that_is_no_more_is_forgotten() -> None:
    """Its nodes have gone to another group; nothing is measured of it."""
    rig = Rig(FleetNode("a"))
    await rig.publish(edge="one", side="one")
    await rig.publish(edge="one")
    assert rig.fleet.cache.get("side") is None
    assert rig.measured("side") is None
    assert [state.name for state in rig.rollout.state()] == ["edge", SERVICES]
