"""Keeping real processes running."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.supervisor import Component, ComponentFailedError, Output, RestartRules, Supervisor

QUICK = RestartRules(first_delay=0.01, longest_delay=0.05, deaths=4)


def shell(folder: Path, name: str, script: str, *needs: str, ready: bool = True, **options: float) -> Component:
    """A shell script in ``folder`` that is ready when its pid is in ``NAME.ready``, and has it in ``NAME.pid``."""
    begin = f"echo $$ > {name}.pid; echo start {name} >> log;" + (f"echo $$ > {name}.ready;" if ready else "")

    async def probe() -> bool:
        return alive(pid(folder, name, "ready"))

    return Component(
        name=name,
        arguments=("sh", "-c", f"cd {folder}; {begin} {script}"),
        environment=os.environ,
        probe=probe,
        needs=frozenset(needs),
        **options,  # type: ignore[arg-type]  # seconds
    )


def alive(pid: int) -> bool:
    """Whether a process of that id runs."""
    return state(pid) not in ("", "Z")


def state(pid: int) -> str:
    """The kernel's letter for what it does; empty for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


async def until(condition: Callable[[], object], *, seconds: float = 5) -> None:
    """Wait for ``condition``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  files and processes set no event
            await asyncio.sleep(0.01)


class Rig:
    """A supervisor that runs beside the test."""

    def __init__(self, *components: Component, rules: RestartRules = QUICK, stop_within: float = 3) -> None:
        self.said: list[str] = []
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.supervisor = Supervisor(
            components=components, output=Output(None), say=self.said.append, rules=rules, stop_within=stop_within
        )

    def start(self) -> asyncio.Task[None]:
        """Run it."""
        return asyncio.create_task(self.supervisor.run(stop=self.stop, on_ready=self.ready.set))


def pid(folder: Path, name: str, suffix: str = "pid") -> int:
    """The process that last wrote its id under that name; 0 before."""
    file = folder / f"{name}.{suffix}"
    return int(file.read_text() or 0) if file.exists() else 0


def log(folder: Path) -> list[str]:
    """What the scripts said they did."""
    return (folder / "log").read_text().splitlines()


FOREVER = "while :; do sleep 0.02; done"


def noting_the_end(name: str) -> str:
    """Run until SIGTERM, then note it."""
    return f"trap 'echo stop {name} >> log; exit 0' TERM; {FOREVER}"


async def test_components_start_in_order_of_need_and_stop_the_other_way_round(tmp_path: Path) -> None:
    """And ``on_ready`` comes when all are ready."""
    rig = Rig(
        shell(tmp_path, "envoy", noting_the_end("envoy"), "auth"),
        shell(tmp_path, "auth", noting_the_end("auth"), "control"),
        shell(tmp_path, "control", noting_the_end("control")),
    )
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    rig.stop.set()
    await asyncio.wait_for(running, 5)
    assert log(tmp_path) == [
        *("start control", "start auth", "start envoy"),
        *("stop envoy", "stop auth", "stop control"),
    ]
    assert rig.said == []


async def test_a_component_that_hangs_is_killed_and_comes_back(tmp_path: Path) -> None:
    """A SIGSTOP holds it: so many questions without an answer are enough, and not fewer."""
    answers: list[bool] = []

    async def answers_now() -> bool:
        answers.append(state(pid(tmp_path, "control")) != "T")
        return answers[-1]

    rules = replace(QUICK, alive_every=0.02, misses=3)
    rig = Rig(replace(shell(tmp_path, "control", FOREVER), alive=answers_now), rules=rules)
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    await until(lambda: len(answers) > 5)
    first = pid(tmp_path, "control")
    os.kill(first, signal.SIGSTOP)
    await until(lambda: pid(tmp_path, "control") not in (0, first))
    assert answers.count(False) == 3
    assert rig.said[0] == "control does not answer; killing it"
    assert rig.said[1].startswith("control died (killed by signal 9); starting it again")
    await until(lambda: "control is back" in rig.said)
    rig.stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_missed_answer_is_forgotten_with_the_next(tmp_path: Path) -> None:
    """Only misses in a row count: a machine may be busy."""
    asked = 0

    async def every_third() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    rules = replace(QUICK, alive_every=0.005, misses=3)
    rig = Rig(replace(shell(tmp_path, "control", FOREVER), alive=every_third), rules=rules)
    running = rig.start()
    await until(lambda: asked > 20)
    rig.stop.set()
    await asyncio.wait_for(running, 5)
    assert log(tmp_path) == ["start control"]
    assert rig.said == []


async def test_a_killed_component_comes_back_and_its_dependents_stay(tmp_path: Path) -> None:
    """`kill -9` of one process is that one's business only."""
    rig = Rig(shell(tmp_path, "control", FOREVER), shell(tmp_path, "envoy", FOREVER, "control"))
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    first, envoy = pid(tmp_path, "control"), pid(tmp_path, "envoy")
    os.kill(first, signal.SIGKILL)
    await until(lambda: "control is back" in rig.said)
    assert pid(tmp_path, "control") not in (0, first)
    assert alive(envoy)
    assert rig.said[0] == "control died (killed by signal 9); starting it again in 0.01 s"
    rig.stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_crash_loop_stops_everything_with_the_last_lines(tmp_path: Path) -> None:
    """The error holds what the component wrote before it died."""
    rig = Rig(
        shell(tmp_path, "steady", FOREVER),
        shell(tmp_path, "broken", "sleep 0.1; echo the disk is full; exit 3", "steady"),
    )
    with pytest.raises(ComponentFailedError) as caught:
        await asyncio.wait_for(rig.start(), 10)
    assert str(caught.value) == "broken died 4 times within 30 s\n  | the disk is full"
    assert not alive(pid(tmp_path, "steady"))
    assert len([line for line in rig.said if "died" in line]) == 3


async def test_a_component_that_cannot_start_stops_everything_at_once(tmp_path: Path) -> None:
    """A wrong setting is said once, not five times."""
    rig = Rig(shell(tmp_path, "broken", "echo GATEWAY_X: no >&2; exit 1", ready=False))
    with pytest.raises(ComponentFailedError, match=r"broken could not start \(exit status 1\)\n  \| GATEWAY_X: no"):
        await asyncio.wait_for(rig.start(), 5)


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names it."""
    absent = shell(tmp_path, "absent", "")
    rig = Rig(Component(name="absent", arguments=("/nonexistent/envoy",), probe=absent.probe))
    with pytest.raises(ComponentFailedError, match="cannot start /nonexistent/envoy"):
        await asyncio.wait_for(rig.start(), 5)


async def test_a_component_that_is_never_ready_stops_everything(tmp_path: Path) -> None:
    """Its deadline counts from its start."""
    rig = Rig(shell(tmp_path, "slow", f"echo waiting; {FOREVER}", ready=False, ready_within=0.3))
    with pytest.raises(ComponentFailedError, match=r"slow was not ready within 0.3 s\n  \| waiting"):
        await asyncio.wait_for(rig.start(), 5)
    assert not alive(pid(tmp_path, "slow"))


async def test_a_component_that_ignores_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    """With what it had started itself."""
    rig = Rig(shell(tmp_path, "stubborn", f"trap '' TERM; sh -c 'echo $$ > inner.pid; {FOREVER}'", stop_within=0.2))
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    await until(lambda: pid(tmp_path, "inner"))
    begun = time.monotonic()
    rig.stop.set()
    await asyncio.wait_for(running, 5)
    assert time.monotonic() - begun < 1
    assert not alive(pid(tmp_path, "stubborn"))
    await until(lambda: not alive(pid(tmp_path, "inner")))
    assert rig.said == ["stubborn did not stop in time and was killed"]


async def test_stopping_has_one_deadline_for_all(tmp_path: Path) -> None:
    """Three that ignore SIGTERM one after another take no longer than one deadline."""
    ignore = f"trap '' TERM; {FOREVER}"
    rig = Rig(
        shell(tmp_path, "a", ignore),
        shell(tmp_path, "b", ignore, "a"),
        shell(tmp_path, "c", ignore, "b"),
        stop_within=0.5,
    )
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    begun = time.monotonic()
    rig.stop.set()
    await asyncio.wait_for(running, 5)
    assert time.monotonic() - begun < 1.5
    assert not any(alive(pid(tmp_path, name)) for name in "abc")


async def test_stopping_while_starting_starts_nothing_more(tmp_path: Path) -> None:
    """Ctrl-C in the middle leaves nothing behind."""
    rig = Rig(shell(tmp_path, "slow", FOREVER, ready=False), shell(tmp_path, "next", FOREVER, "slow"))
    running = rig.start()
    await until(lambda: pid(tmp_path, "slow"))
    rig.stop.set()
    await asyncio.wait_for(running, 5)
    assert not alive(pid(tmp_path, "slow"))
    assert log(tmp_path) == ["start slow"]


async def test_killing_all_ends_a_patient_stop(tmp_path: Path) -> None:
    """The second Ctrl-C."""
    rig = Rig(shell(tmp_path, "patient", f"trap '' TERM; {FOREVER}", stop_within=60), stop_within=60)
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    rig.stop.set()
    await asyncio.sleep(0.05)
    rig.supervisor.kill_all()
    await asyncio.wait_for(running, 5)
    assert not alive(pid(tmp_path, "patient"))


async def test_a_task_runs_once_and_those_who_need_it_wait_for_its_end(tmp_path: Path) -> None:
    """Ready means that it has ended with 0; its end is no death."""
    task = replace(shell(tmp_path, "task", "sleep 0.1; echo end task >> log"), probe=None)
    rig = Rig(task, shell(tmp_path, "after", FOREVER, "task"))
    running = rig.start()
    await asyncio.wait_for(rig.ready.wait(), 5)
    assert log(tmp_path) == ["start task", "end task", "start after"]
    assert rig.said == []
    assert not running.done()
    rig.stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_task_that_fails_stops_everything(tmp_path: Path) -> None:
    """With what it said."""
    task = replace(shell(tmp_path, "task", "echo no binary; exit 1"), probe=None)
    with pytest.raises(ComponentFailedError, match=r"task could not start \(exit status 1\)\n  \| no binary"):
        await asyncio.wait_for(Rig(task).start(), 5)
