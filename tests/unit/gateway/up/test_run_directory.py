"""The private folder of one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.up.run_directory import run_directory

HOLDER = """
import sys, time
from pathlib import Path
from gateway.up.run_directory import run_directory
with run_directory(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def test_only_its_user_can_enter_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    """Whatever was put into it."""
    with run_directory(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "state").mkdir()
        (folder / "state" / "policy").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_runs_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    """A lock tells them apart, which the kernel releases whatever kills a process."""
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        folders = [Path(holder.stdout.readline().decode().strip()) for holder in holders if holder.stdout]
        holders[0].send_signal(signal.SIGKILL)
        holders[0].wait(5)
        with run_directory(tmp_path):
            assert [folder.exists() for folder in folders] == [False, True]
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Neither a link that somebody has put there, nor where it leads."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    base = tmp_path / "base"
    base.mkdir()
    (base / "gateway-up-planted").symlink_to(elsewhere)
    with run_directory(base):
        pass
    assert (elsewhere / "precious").exists()


def test_sockets_in_it_have_short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the runtime folder's own path is long."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with run_directory() as folder:
        assert len(os.fsencode(folder / "ext_authz.sock")) < 108
