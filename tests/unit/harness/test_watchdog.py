"""A test that never ends costs its own process, not the whole run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
from tests.harness.watchdog import Watchdog

def pytest_configure(config):
    config.pluginmanager.register(Watchdog(grace=1))
"""
TESTS = """
import asyncio
import pytest
import pytest_asyncio

@pytest_asyncio.fixture
async def stubborn():
    yield
    await asyncio.Event().wait()

async def test_fails_and_hangs(stubborn):
    assert False

def test_is_well():
    pass
"""


def test_a_teardown_that_hangs_after_a_failure(tmp_path: Path) -> None:
    """pytest-timeout is out of it by then; the run goes on, names the test and where it hangs."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_hangs.py").write_text(TESTS)
    options = ["-n", "1", "-o", "asyncio_mode=auto", "-o", "timeout=1", f"--rootdir={tmp_path}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "test_fails_and_hangs does not end" in run.stderr
    assert "asyncio/base_events.py" in run.stderr
    assert "1 passed" in run.stdout
    assert "crashed while running" in run.stdout
