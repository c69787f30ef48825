"""Orders of starting and stopping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.supervisor.plan import Component, PlanError, check_plan, start_waves, startable, stop_waves


async def ready() -> bool:
    """Always."""
    return True


def component(name: str, *needs: str) -> Component:
    """One that runs nothing."""
    return Component(name=name, arguments=("true",), probe=ready, needs=frozenset(needs))


def names(waves: list[list[Component]]) -> list[list[str]]:
    """The names in each wave."""
    return [[one.name for one in wave] for wave in waves]


GATEWAY = [
    component("valkey"),
    component("controlplane"),
    component("ext-authz", "controlplane"),
    component("ratelimit", "controlplane", "valkey"),
    component("telemetry"),
    component("envoy", "ext-authz", "ratelimit"),
]


def test_a_component_starts_when_its_needs_are_ready() -> None:
    """Not when they have only been started."""
    now = startable(GATEWAY, started={"valkey", "controlplane", "telemetry"}, ready={"controlplane"})
    assert [one.name for one in now] == ["ext-authz"]


def test_what_needs_others_stops_before_them() -> None:
    """Envoy, then the services, then the control plane and the store."""
    assert names(stop_waves(GATEWAY)) == [
        ["telemetry", "envoy"],
        ["ext-authz", "ratelimit"],
        ["valkey", "controlplane"],
    ]


@pytest.mark.parametrize(
    ("components", "words"),
    [
        ([component("a"), component("a")], "two components are called 'a'"),
        ([component("a", "b")], "'a' needs 'b', which is not there"),
        ([component("a", "b"), component("b", "a"), component("c")], "these need each other: a, b"),
    ],
)
def test_a_plan_without_an_order_is_refused(components: list[Component], words: str) -> None:
    """With the names of those who are to blame."""
    with pytest.raises(PlanError, match=words):
        check_plan(components)


@st.composite
def plans(draw: st.DrawFn) -> list[Component]:
    """Components that need only earlier ones, in any order."""
    made = []
    for index in range(draw(st.integers(0, 8))):
        needs = draw(st.sets(st.integers(0, index - 1))) if index else set()
        made.append(component(str(index), *map(str, needs)))
    return draw(st.permutations(made))


@given(plans())
def test_every_component_is_in_one_wave_and_after_its_needs(components: list[Component]) -> None:
    """Starting goes by needs, stopping the other way round, and nobody is forgotten."""
    starting, stopping = start_waves(components), stop_waves(components)
    for waves in (starting, stopping):
        assert sorted(one.name for wave in waves for one in wave) == sorted(one.name for one in components)
    started = {one.name: index for index, wave in enumerate(starting) for one in wave}
    stopped = {one.name: index for index, wave in enumerate(stopping) for one in wave}
    for one in components:
        for need in one.needs:
            assert started[need] < started[one.name]
            assert stopped[need] > stopped[one.name]
