"""Tests that share something which is there once run in one process, whatever pytest and pytest-xdist are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import os, pathlib, pytest, time
pytestmark = [pytest.mark.xdist_group("one"), pytest.mark.timeout(30)]

@pytest.mark.parametrize("number", range(6))
def test_grouped(number):
    time.sleep(0.1)
    with (pathlib.Path(__file__).parent / "processes").open("a") as file:
        print(os.getpid(), file=file)
"""


def test_a_group_stays_together(tmp_path: Path) -> None:
    """Else the ports of the README would be wanted by two gateways at a time."""
    (tmp_path / "test_grouped.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={tmp_path}"]
    options = ["-n", "2", "--dist", "loadgroup", str(tmp_path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=45, check=False)
    assert done.returncode == 0, done.stdout
    processes = (tmp_path / "processes").read_text().split()
    assert len(processes) == 6
    assert len(set(processes)) == 1
