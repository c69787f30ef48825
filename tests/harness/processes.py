"""Real processes under test: waiting for them on a condition, with a deadline."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")

_INTERVAL = 0.05


def wait_for(condition: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """The first value of ``condition`` that is not ``None``; fails with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found is not None:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(_INTERVAL)


def wait_until_answers(url: str, process: subprocess.Popen[bytes], *, seconds: float, status: int = 200) -> None:
    """Wait until ``GET url`` has ``status``; fail at once when ``process`` has ended."""

    def answered() -> bool | None:
        assert process.poll() is None, f"the process ended with {process.returncode} before {url} answered"
        try:
            return True if httpx.get(url, timeout=2).status_code == status else None
        except httpx.TransportError:
            return None

    wait_for(answered, seconds=seconds, what=f"{url} -> {status}")
