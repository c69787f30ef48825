"""One child process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.child import CannotStartError, Child
from tests.harness.processes import wait_for

PARENT = """
import asyncio, os, sys
from gateway.child import Child

async def main():
    child = Child.start(["sleep", "60"], environment={})
    print(child.pid, flush=True)
    await child.ended()

asyncio.run(main())
"""


def gone(pid: int) -> bool | None:
    """Whether nobody (not even a zombie's parent) runs under that id."""
    try:
        return True if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z" else None
    except OSError:
        return True


def test_a_child_dies_with_its_parent() -> None:
    """Even when the parent is killed with SIGKILL and can do nothing about it."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: gone(child), seconds=5, what="the child is gone")


async def test_what_a_child_leaves_in_its_group_ends_with_it(tmp_path: Path) -> None:
    """A process that it started and forgot."""
    child = Child.start(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid"], environment=dict(os.environ))
    assert await asyncio.wait_for(child.ended(), 5) == 0
    orphan = int((tmp_path / "pid").read_text())
    wait_for(lambda: gone(orphan), seconds=5, what="the orphan is gone")


async def test_status_tells_a_signal_from_an_exit() -> None:
    """Negative for a signal; and a signal to a dead child is nothing."""
    child = Child.start(["sleep", "60"], environment=dict(os.environ))
    assert child.status is None
    child.signal(signal.SIGTERM)
    assert await asyncio.wait_for(child.ended(), 5) == -signal.SIGTERM == child.status
    child.signal(signal.SIGTERM)


async def test_a_program_that_is_not_there_is_one_clear_error() -> None:
    """It names the program."""
    with pytest.raises(CannotStartError, match="cannot start /nonexistent"):
        Child.start(["/nonexistent"], environment={})
