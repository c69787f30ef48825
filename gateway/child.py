"""One child process: it cannot outlive its parent, is waited for without threads, and is killed with its group."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1  # prctl(2)


class CannotStartError(Exception):
    """The program can't be run; the text says which and why."""


class Child:
    """A running child, the leader of a process group (and session) of its own. Linux only."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Child:
        """Start a program whose process dies with this one, even if this one is killed with SIGKILL.

        Args:
            arguments: the program and what it is told.
            environment: all of its environment.
            stdout: file descriptor of its standard output; ``None`` is this process's own.
            stderr: likewise.

        Raises:
            CannotStartError: it can't be run.
        """
        try:
            process = subprocess.Popen(  # noqa: S603  the arguments are ours
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise CannotStartError(f"cannot start {arguments[0]}: {error}") from error
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for the signal that ended it; ``None`` while it runs."""
        return self._process.returncode

    async def ended(self) -> int:
        """Wait for its end and return :attr:`status`. Cancelling the wait leaves the child alone."""
        return await asyncio.shield(self._ended)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child itself, not to its group. Nothing happens when it has ended."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill_group(self) -> None:
        """End the child and whatever it has left in its group, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # While the leader is not waited for, its id cannot have become another process's.
        self.kill_group()
        self._ended.set_result(self._process.wait())


def _die_with_parent() -> Callable[[], None]:
    parent = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return before_exec
