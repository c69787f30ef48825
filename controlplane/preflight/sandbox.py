"""One run of a program that is not trusted with much: no environment, no input, bounded, and gone at its deadline."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_GIB = 1024**3
_ADDRESS_SPACE = 64 * _GIB
"""V8 and the allocator reserve far more than they use."""

_LARGEST_FILE = 1024 * 1024
"""Bytes of what it says, and of anything else that it may write."""

_OPEN_FILES = 4096
_SAID_LENGTH = 64 * 1024


class CannotRunError(Exception):
    """The program did not get to say anything: it can't be started, was too slow, or was stopped from outside."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    status: int
    """Its exit status; negative is a signal's number."""
    said: str
    """What it wrote to its standard error, in part if that was long."""


class Sandbox:
    """Runs programs in a session of their own, each with everything that it has started, until :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._closed = False

    def run(self, command: Sequence[str | Path], *, folder: Path, seconds: float) -> Ended:
        """Run ``command`` to its end. Blocks.

        Args:
            command: program and arguments.
            folder: what it finds itself in.
            seconds: how long it may take, by the clock and by the processor.

        Raises:
            CannotRunError: it can't be started, took too long, or :meth:`close` was called.
        """
        with tempfile.TemporaryFile(dir=folder) as said:
            child = self._start(command, folder, said.fileno())
            try:
                _confine(child.pid, seconds)
                answered = _wait(child.pid, seconds)
            finally:
                status = self._end(child)
            if self._closed:
                raise CannotRunError("stopping")
            if not answered:
                raise CannotRunError(f"no answer within {seconds:g} s")
            said.seek(0)
            return Ended(status, said.read(_SAID_LENGTH).decode(errors="replace"))

    def close(self) -> None:
        """End what runs, and run nothing more: who waits for a program in a thread must not hold up the process."""
        with self._lock:
            self._closed = True
            for leader in self._running:
                _kill(leader)

    def _start(self, command: Sequence[str | Path], folder: Path, said: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise CannotRunError("stopping")
            try:
                child = subprocess.Popen(  # noqa: S603  the operator's own program, and arguments from nobody else
                    command,
                    cwd=folder,
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                raise CannotRunError(f"{command[0]}: {error.strerror}") from error
            self._running.add(child.pid)
            return child

    def _end(self, child: subprocess.Popen[bytes]) -> int:
        """End it and all that it has started; its status."""
        with self._lock:
            self._running.discard(child.pid)
            _kill(child.pid)  # before its status is read: until then nobody else can have its number
            return child.wait()


def _wait(pid: int, seconds: float) -> bool:
    """Whether the child ends within ``seconds``. Leaves its status unread."""
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


def _confine(pid: int, seconds: float) -> None:
    """Set limits from outside: what runs between fork and exec in a process with threads may hang it."""
    processor = int(seconds) + 1
    limits = {
        resource.RLIMIT_CPU: processor,
        resource.RLIMIT_AS: _ADDRESS_SPACE,
        resource.RLIMIT_FSIZE: _LARGEST_FILE,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        try:
            _, hard = resource.prlimit(pid, which)
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(pid, which, (bound, bound))
        except ProcessLookupError:
            return  # it has ended already


def _kill(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
