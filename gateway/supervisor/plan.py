"""What is to run, what may start now, and in which order it stops. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

Probe = Callable[[], Awaitable[bool]]
"""Whether a component does its work. Has its own time-out; never raises."""


class PlanError(Exception):
    """Components that can't be put in an order; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One process to keep running."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """All of its environment."""
    probe: Probe | None
    """``None``: it is a task, which is ready when it has ended with 0, and is not started again."""
    alive: Probe | None = None
    """Asked from readiness on; one that does not answer again and again is killed. ``None``: it is never asked."""
    needs: frozenset[str] = frozenset()
    """Names of components that have to be ready before this one starts for the first time."""
    ready_within: float = 30.0
    """Seconds from its first start to ready."""
    stop_within: float = 1.0
    """Seconds from SIGTERM to its end; then it is killed."""
    shown: bool = True
    """Whether its lines are passed on. Its last ones are kept for an error either way."""


def check_plan(components: Sequence[Component]) -> None:
    """Make sure that an order exists.

    Raises:
        PlanError: a name stands twice, a need is nobody's name, or needs go in a circle.
    """
    names = [component.name for component in components]
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"two components are called {name!r}")
    for component in components:
        for unknown in sorted(component.needs - set(names)):
            raise PlanError(f"{component.name!r} needs {unknown!r}, which is not there")
    start_waves(components)


def startable(components: Sequence[Component], *, started: Collection[str], ready: Collection[str]) -> list[Component]:
    """Those not yet started whose needs are all ready."""
    return [one for one in components if one.name not in started and one.needs <= set(ready)]


def start_waves(components: Sequence[Component]) -> list[list[Component]]:
    """Components in groups, each group needing only earlier ones.

    Raises:
        PlanError: needs go in a circle.
    """
    waves: list[list[Component]] = []
    placed: set[str] = set()
    while len(placed) < len(components):
        wave = startable(components, started=placed, ready=placed)
        if not wave:
            left = ", ".join(component.name for component in components if component.name not in placed)
            raise PlanError(f"these need each other: {left}")
        waves.append(wave)
        placed |= {component.name for component in wave}
    return waves


def stop_waves(components: Sequence[Component]) -> list[list[Component]]:
    """Groups to stop one after another, so that nothing stops before those who need it."""
    waves: list[list[Component]] = []
    left = list(components)
    while left:
        needed = {name for component in left for name in component.needs}
        wave = [component for component in left if component.name not in needed]
        waves.append(wave)
        left = [component for component in left if component.name in needed]
    return waves
