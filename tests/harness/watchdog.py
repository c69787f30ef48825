"""Ends a test process in which one test takes for ever, and says where it stood.

pytest-timeout stops its clock at a test's first failure, so a teardown that hangs after one would hold the whole run.
This clock runs from a test's setup to the end of its teardown, whatever happens between.
"""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Generator

import pytest


class Watchdog:
    """A plugin for pytest; made before anything is captured, so that what it says is seen."""

    def __init__(self, *, grace: float) -> None:
        """Leave each test ``grace`` seconds beyond its own timeout."""
        self._grace = grace
        self._output = os.dup(2)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Start the clock, and stop it when the test is over."""
        marker = item.get_closest_marker("timeout")
        seconds = float(marker.args[0] if marker is not None else item.config.getini("timeout"))
        clock = threading.Timer(seconds + self._grace, self._end, [item.nodeid])
        clock.daemon = True
        clock.start()
        try:
            return (yield)
        finally:
            clock.cancel()

    def pytest_unconfigure(self) -> None:
        """Close what was opened."""
        os.close(self._output)

    def _end(self, test: str) -> None:
        os.write(self._output, f"\n{test} does not end. The threads of its process stand here:\n".encode())
        faulthandler.dump_traceback(file=self._output)
        os._exit(70)
