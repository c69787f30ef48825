"""Starts the components of a plan, keeps them running, and stops them in reverse order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.child import CannotStartError, Child
from gateway.supervisor.output import Lines, Output
from gateway.supervisor.plan import Component, check_plan, stop_waves
from gateway.supervisor.restarts import GiveUp, Restart, RestartHistory, RestartRules, describe_status

_PROBE_EVERY = 0.05
_LAST_LINES = 15


class ComponentFailedError(Exception):
    """A component can't be kept running; the text says which, why, and what it wrote last."""


@dataclass(slots=True)
class _Run:
    """One component and the process that it is now, if it is."""

    component: Component
    history: RestartHistory
    rules: RestartRules
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is ready for the first time."""
    child: Child | None = None
    keeper: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.component.name


class Supervisor:
    """Keeps the components of one plan running.

    Args:
        components: what to run.
        output: where their lines go.
        say: takes one line for people at a time: who died, who is back.
        rules: when to try again and when to give up.
        stop_within: seconds in which everything has to be stopped; what is left then is killed.

    Raises:
        PlanError: the components can't be put in an order.
    """

    def __init__(
        self,
        *,
        components: Sequence[Component],
        output: Output,
        say: Callable[[str], None],
        rules: RestartRules | None = None,
        stop_within: float = 4.5,
    ) -> None:
        check_plan(components)
        self._components = components
        rules = rules or RestartRules()
        self._runs = {one.name: _Run(one, RestartHistory(rules), rules) for one in components}
        self._output = output
        self._say = say
        self._stop_within = stop_within
        self._stopping = False

    async def run(self, *, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Run everything until ``stop`` is set, then stop everything.

        Args:
            stop: ends the run; :meth:`kill_all` afterwards ends it at once.
            on_ready: called once, when all components are ready.

        Raises:
            ComponentFailedError: one of them can't be kept running; everything was stopped.
        """
        for run in self._runs.values():
            run.keeper = asyncio.create_task(self._keep(run), name=run.name)
        ready = asyncio.create_task(self._announce(on_ready), name="all ready")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            await self._until_one_fails(stopped)
        finally:
            ready.cancel()
            stopped.cancel()
            await self._stop_all()

    def kill_all(self) -> None:
        """End every process at once, without asking."""
        for run in self._runs.values():
            if run.child is not None:
                run.child.kill_group()

    async def _until_one_fails(self, stopped: asyncio.Task[bool]) -> None:
        waiting: set[asyncio.Task[Any]] = {run.keeper for run in self._runs.values() if run.keeper is not None}
        while waiting and not stopped.done():
            done, _ = await asyncio.wait({stopped, *waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            waiting -= done

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        for run in self._runs.values():
            await run.ready.wait()
        on_ready()

    async def _keep(self, run: _Run) -> None:
        """Start one component again and again, until the supervisor stops."""
        for need in run.component.needs:
            await self._runs[need].ready.wait()
        while not self._stopping:
            decision, last_words = await self._live_and_die(run)
            if self._stopping or decision is None:
                return
            if isinstance(decision, GiveUp):
                raise ComponentFailedError("\n".join([f"{run.name} {decision.reason}", *last_words]))
            await asyncio.sleep(decision.delay)

    async def _live_and_die(self, run: _Run) -> tuple[Restart | GiveUp | None, list[str]]:
        """One life of one component: what follows from its death (``None``: nothing), and its last words."""
        lines = Lines(self._output if run.component.shown else None)
        try:
            run.child = _start(run.component, lines)
            ready_at = await self._until_ready(run, run.child)
            if ready_at is None and run.child.status is None:
                run.child.kill_group()
                if not run.ready.is_set():
                    await run.child.ended()
                    return GiveUp(f"was not ready within {run.component.ready_within:g} s"), _last_words(lines)
            status = await self._until_ended(run, run.child)
        finally:
            lines.close()
            run.child = None
        if run.component.probe is None and status == 0:
            run.ready.set()
            return None, []
        decision = run.history.died(now=time.monotonic(), status=status, ready_at=ready_at)
        if isinstance(decision, Restart) and not self._stopping:
            self._say(f"{run.name} died ({describe_status(status)}); starting it again in {decision.delay:g} s")
        return decision, _last_words(lines)

    async def _until_ready(self, run: _Run, child: Child) -> float | None:
        """The time when it was ready; ``None`` when it ended before that, or took too long."""
        begun = time.monotonic()
        while child.status is None and time.monotonic() - begun < run.component.ready_within:
            probe = run.component.probe
            if probe is not None and await probe() and child.status is None:
                if run.ready.is_set():
                    self._say(f"{run.name} is back")
                run.ready.set()
                return time.monotonic()
            await asyncio.sleep(_PROBE_EVERY)
        return None

    async def _until_ended(self, run: _Run, child: Child) -> int:
        """Wait for its end, which comes by force when it hangs."""
        watch = asyncio.create_task(self._watch(run, child), name=f"{run.name} is alive")
        try:
            return await child.ended()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self, run: _Run, child: Child) -> None:
        """Kill a component that is there and does not answer. One that is being stopped has a deadline of its own."""
        alive, misses = run.component.alive, 0
        while alive is not None and not self._stopping:
            await asyncio.sleep(run.rules.alive_every)
            misses = 0 if await alive() else misses + 1
            if misses >= run.rules.misses and not self._stopping:
                self._say(f"{run.name} does not answer; killing it")
                child.kill_group()
                return

    async def _stop_all(self) -> None:
        self._stopping = True
        deadline = time.monotonic() + self._stop_within
        for wave in stop_waves(self._components):
            await self._stop_wave([self._runs[component.name] for component in wave], deadline)

    async def _stop_wave(self, runs: Sequence[_Run], deadline: float) -> None:
        for run in runs:
            if run.child is not None:
                run.child.signal(signal.SIGTERM)
            elif run.keeper is not None:
                run.keeper.cancel()
        patience = max(run.component.stop_within for run in runs)
        keepers = [run.keeper for run in runs if run.keeper is not None]
        await asyncio.wait(keepers, timeout=max(0.0, min(patience, deadline - time.monotonic())))
        for run in runs:
            if run.child is not None:
                self._say(f"{run.name} did not stop in time and was killed")
                run.child.kill_group()
        await asyncio.gather(*keepers, return_exceptions=True)


def _start(component: Component, lines: Lines) -> Child:
    try:
        return Child.start(
            component.arguments,
            environment=component.environment,
            stdout=lines.child_end,
            stderr=lines.child_end,
        )
    except CannotStartError as error:
        raise ComponentFailedError(str(error)) from error
    finally:
        lines.child_started()


def _last_words(lines: Lines) -> list[str]:
    return [f"  | {line}" for line in lines.tail(_LAST_LINES)]
