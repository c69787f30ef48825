"""A canary's life: first nodes, a watch, and then all or nobody."""

from __future__ import annotations

import pytest

from controlplane.rollout import NoCanaryError
from controlplane.rollout.canary import ANSWER_SECONDS, ELSEWHERE_SECONDS
from controlplane.rollout.health import FEWEST_REQUESTS, complaint
from controlplane.rollout.rollout import STARTING_SECONDS
from controlplane.store import Outcome
from controlplane.translate import SERVICES
from controlplane.xds.load_book import Load
from tests.unit.controlplane.rollout.fleet import FleetNode, Rig, canary, release

APART = "edge#canary"


def rig_of(**changes: object) -> Rig:
    """A node that is picked, with ``changes``, and one that is not."""
    bird = FleetNode("bird", in_canary=True, **changes)  # type: ignore[arg-type]  # the fields of a node
    return Rig(bird, FleetNode("plain"), FleetNode("authz", group=SERVICES))


async def begin(rig: Rig, **changes: object) -> None:
    """The second release, as a canary."""
    await rig.publish("one")
    rig.now += STARTING_SECONDS
    await rig.publish("two", canary=canary(**changes))


def phase(rig: Rig) -> str | None:
    """Of the group's canary."""
    state = rig.state().canary
    return None if state is None else state.phase


async def test_only_the_picked_nodes_get_it_and_then_all() -> None:
    """They hold for the time asked, the others have what they had; then everybody follows."""
    rig = rig_of()
    await begin(rig)
    assert (rig.fleet.live(), rig.fleet.live(APART)) == ("one", "two")
    assert phase(rig) == "holding"
    assert rig.told.watched == [10.0]
    rig.now += 9.9
    await rig.rollout.review()
    assert rig.fleet.nodes["plain"].has == "one"
    rig.now += 0.1
    await rig.rollout.review()
    await rig.rollout.review()
    assert rig.fleet.nodes["plain"].has == "two"
    assert rig.fleet.canary is None
    assert rig.fleet.cache.get(APART) is None
    assert phase(rig) == "done"
    assert rig.told.kinds() == ["canary-holding", "canary-promoting", "canary-done"]


async def test_nothing_is_in_front_of_the_others_while_a_canary_is_watched() -> None:
    """The services hold its policy beside the one that counts; when all have it, it is the other way round."""
    rig = rig_of()
    await begin(rig)
    assert rig.fleet.nodes["authz"].has == "one+two"
    rig.now += 10
    await rig.rollout.review()
    await rig.rollout.review()
    assert rig.fleet.nodes["authz"].has == "two+one"


async def test_a_refusal_ends_it() -> None:
    """The other nodes never saw it, and it is not tried again."""
    rig = rig_of(refuses={"two"})
    await begin(rig)
    assert phase(rig) == "rolled-back"
    assert rig.state().rolled_back is not None
    assert rig.fleet.nodes["bird"].has == "one"
    assert ("plain", "two") not in rig.fleet.shown
    assert not await rig.publish("two", canary=canary())
    outcome = await rig.rollout.settle(release("two"), 1)
    assert outcome.outcome is Outcome.REFUSED
    assert outcome.groups[0].refused == {"bird": "routes: two is bad"}


async def test_failing_requests_end_it() -> None:
    """More than are allowed, and more than elsewhere."""
    rig = rig_of()
    await begin(rig)
    rig.told.loads = {"bird": Load(10, 10), "plain": Load(100, 1)}
    await rig.rollout.review()
    assert phase(rig) == "rolled-back"
    state = rig.state()
    assert state.rolled_back is not None
    assert "10 of 20 requests failed (50.0%)" in state.rolled_back.why
    assert state.rolled_back.refused == {"bird": state.rolled_back.why}
    assert rig.fleet.nodes["bird"].has == "one"
    assert rig.fleet.served() == {"one"}


@pytest.mark.parametrize(
    ("apart", "others", "is_unhealthy"),
    [
        (Load(0, 0), Load(0, 0), False),
        (Load(0, FEWEST_REQUESTS - 1), Load(0, 0), False),
        (Load(0, FEWEST_REQUESTS), Load(0, 0), True),
        (Load(95, 5), Load(100, 0), False),
        (Load(94, 6), Load(100, 0), True),
        (Load(50, 50), Load(50, 50), False),
        (Load(49, 51), Load(50, 50), True),
        (Load(50, 50), Load(0, FEWEST_REQUESTS - 1), True),
    ],
)
def test_what_is_unhealthy(apart: Load, others: Load, *, is_unhealthy: bool) -> None:
    """Above what is allowed and worse than elsewhere, with enough requests to tell."""
    assert (complaint(apart, others, max_error_rate=0.05) is not None) == is_unhealthy


async def test_without_a_picked_node_everybody_gets_it() -> None:
    """There would be nothing to watch; an event says so."""
    rig = Rig(FleetNode("plain"))
    await begin(rig)
    assert rig.fleet.live() == "two"
    assert rig.told.kinds() == ["canary-skipped"]


async def test_a_control_plane_without_a_picked_node_waits_for_the_others() -> None:
    """Of several: it promotes a moment after those that watch, unless they say what their nodes refuse."""
    rig = Rig(FleetNode("plain"), is_alone=False)
    await begin(rig)
    rig.now += 10 + ELSEWHERE_SECONDS - 0.1
    await rig.rollout.review()
    assert rig.fleet.live() == "one"
    rig.now += 0.2
    await rig.rollout.review()
    assert rig.fleet.live() == "two"
    await rig.publish("three", canary=canary())
    await rig.rollout.refuse({"edge": {"bird": "it is bad"}})
    rig.now += 1000
    await rig.rollout.review()
    assert rig.fleet.live() == "two"


async def test_a_control_plane_that_has_just_started_waits_for_the_nodes_to_come_back() -> None:
    """The first of the canary's nodes that comes begins it, and the others go on as they were."""
    rig = Rig(FleetNode("plain"))
    await rig.publish("one")
    await rig.publish("two", canary=canary())
    assert phase(rig) == "holding"
    rig.now += 9
    rig.fleet.nodes["bird"] = FleetNode("bird", in_canary=True)
    await rig.rollout.review()
    rig.now += 9
    await rig.rollout.review()
    assert (rig.fleet.nodes["plain"].has, rig.fleet.nodes["bird"].has) == ("one", "two")
    rig.now += 1
    await rig.rollout.review()
    await rig.rollout.review()
    assert rig.fleet.nodes["plain"].has == "two"


async def test_a_change_of_policies_alone_goes_to_everybody() -> None:
    """Envoys get nothing new, so there is nothing that some could try."""
    rig = rig_of()
    await rig.publish("one")
    await rig.publish("one", policy="one+more", canary=canary())
    assert rig.fleet.nodes["authz"].has == "one+more"
    assert rig.told.kinds() == []


async def test_a_newer_release_takes_its_place() -> None:
    """With a canary of its own."""
    rig = rig_of()
    await begin(rig)
    await rig.publish("three", canary=canary())
    assert (rig.fleet.live(), rig.fleet.live(APART)) == ("one", "three")
    assert rig.told.kinds() == ["canary-holding", "canary-rolled-back", "canary-holding"]
    await rig.publish("one")
    assert rig.fleet.nodes["bird"].has == "one"
    assert rig.state().rolled_back is None


async def test_by_hand() -> None:
    """Promoted, or aborted and tried once more."""
    rig = rig_of()
    await begin(rig)
    await rig.rollout.abort()
    await rig.rollout.review()
    assert rig.fleet.nodes["bird"].has == "one"
    with pytest.raises(NoCanaryError):
        await rig.rollout.abort()
    assert await rig.publish("two", canary=canary())
    await rig.rollout.promote()
    await rig.rollout.review()
    assert rig.fleet.nodes["plain"].has == "two"
    with pytest.raises(NoCanaryError):
        await rig.rollout.promote()


async def test_a_node_that_never_answers_ends_it() -> None:
    """After a minute."""
    rig = rig_of()
    await rig.publish("one")
    rig.fleet.nodes["bird"].is_silent = True
    await rig.publish("two", canary=canary())
    assert phase(rig) == "waiting"
    outcome = await rig.rollout.settle(release("two"), 0.05)
    assert (outcome.outcome, outcome.groups[0].waiting) == (Outcome.TIMED_OUT, ("bird",))
    rig.now += ANSWER_SECONDS
    await rig.rollout.review()
    assert phase(rig) == "rolled-back"


async def test_nodes_that_are_gone_at_the_end_are_no_success() -> None:
    """A release that makes its first nodes crash goes no further; one that comes back in time does."""
    rig = rig_of()
    await begin(rig)
    del rig.fleet.nodes["bird"]
    rig.now += 10
    await rig.rollout.review()
    assert phase(rig) == "rolled-back"
    assert rig.fleet.live() == "one"


async def test_a_node_that_comes_while_it_is_watched_is_picked_too() -> None:
    """It gets the new release, and its refusal counts."""
    rig = rig_of()
    await begin(rig)
    rig.fleet.nodes["late"] = FleetNode("late", in_canary=True, refuses={"two"})
    await rig.rollout.review()
    assert phase(rig) == "rolled-back"


async def test_others_that_refuse_what_was_promoted_go_back_with_all() -> None:
    """The canary's nodes accepted it, another one does not: the group is one again."""
    rig = rig_of()
    rig.fleet.nodes["plain"].refuses = {"two"}
    await begin(rig)
    rig.now += 10
    await rig.rollout.review()
    await rig.rollout.review()
    assert {node.has for node in rig.fleet.nodes.values() if node.group == "edge"} == {"one"}


async def test_settling_waits_for_the_end() -> None:
    """As long as a canary is watched the outcome is open, and not a time-out."""
    rig = rig_of()
    await begin(rig)
    outcome = await rig.rollout.settle(release("two"), 0.05)
    assert outcome.outcome is Outcome.PENDING
    rig.now += 10
    outcome = await rig.rollout.settle(release("two"), 1)
    assert outcome.outcome is Outcome.APPLIED


async def test_services_that_refuse_the_policy_stop_it() -> None:
    """No Envoy hears of it, not even the first."""
    rig = rig_of()
    rig.fleet.nodes["authz"].refuses = {"two"}
    await begin(rig)
    assert ("bird", "two") not in rig.fleet.shown
    assert rig.fleet.served() == {"one"}
    state = rig.state()
    assert state.rolled_back is not None
    assert state.rolled_back.node == "authz"


async def test_a_node_keeps_the_rules_of_a_canary_that_it_cannot_leave() -> None:
    """It refuses what all others have, and the next canary too: the services go on with what it runs."""
    rig = Rig(FleetNode("a"), FleetNode("b", in_canary=True), FleetNode("authz", group=SERVICES))
    await rig.publish("one")
    await rig.publish("two", canary=canary())
    rig.fleet.nodes["b"].refuses = {"one", "three"}
    await rig.publish("three", canary=canary())
    await rig.rollout.review()
    assert rig.fleet.nodes["b"].has == "two"
    assert "two" in rig.fleet.served()
