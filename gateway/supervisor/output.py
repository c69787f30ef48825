"""Passes on what children write, whole lines at a time, and never makes a child wait for it.

A terminal that is paused, or a log collector that is stuck, must not stop a service that answers requests: what
can't be written at once is kept up to a bound, then the newest is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_CHUNK = 256 * 1024
_PENDING_LIMIT = 4 * 1024 * 1024
_LONGEST_LINE = 64 * 1024
_TAIL = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Sink:
    """A way to write that never blocks, the descriptor to watch, and how to let go of it."""

    write: Callable[[bytes | bytearray], int]
    fd: int
    close: Callable[[], None]


class Output:
    """Where the lines of all children go. Use it as a context manager, inside a running event loop.

    Args:
        target: file descriptor to write to; ``None`` drops everything.
        pending_limit: bytes kept while ``target`` takes none.
    """

    def __init__(self, target: int | None, *, pending_limit: int = _PENDING_LIMIT) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending_limit = pending_limit
        self._pending = bytearray()
        self._watching = False
        self._dropped = 0
        self._sink = _opened(target) if target is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._unwatch()
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def write(self, lines: bytes) -> None:
        """Write whole lines now, later, or never when too much is waiting."""
        if self._sink is None:
            return
        if len(self._pending) + len(lines) > self._pending_limit:
            self._dropped += lines.count(b"\n")
            return
        if self._dropped:
            notice = {
                "level": "WARNING",
                "service": "gateway-up",
                "message": "log lines dropped",
                "lines": self._dropped,
            }
            self._pending += json.dumps(notice).encode() + b"\n"
            self._dropped = 0
        self._pending += lines
        if not self._watching:
            self._flush()

    def _flush(self) -> None:
        while self._pending and self._sink is not None:
            try:
                written = self._sink.write(self._pending)
            except BlockingIOError:
                self._watch()
                return
            except OSError:
                self._pending.clear()  # nobody reads any more; the gateway goes on
                break
            del self._pending[:written]
        self._unwatch()

    def _watch(self) -> None:
        if not self._watching and self._sink is not None:
            self._loop.add_writer(self._sink.fd, self._flush)
            self._watching = True

    def _unwatch(self) -> None:
        if self._watching and self._sink is not None:
            self._loop.remove_writer(self._sink.fd)
            self._watching = False


class Lines:
    """The output of one child: give it :attr:`child_end` as its standard output and error.

    Args:
        output: where the lines go; ``None`` only keeps the last ones.
    """

    def __init__(self, output: Output | None) -> None:
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._fd, self.child_end = os.pipe()
        os.set_blocking(self._fd, False)
        self._rest = b""
        self._tail = b""
        self._loop.add_reader(self._fd, self._read)

    def tail(self, lines: int) -> list[str]:
        """The last lines, at most 16 KiB of them."""
        return self._tail.decode(errors="replace").splitlines()[-lines:]

    def child_started(self) -> None:
        """Let go of the end that the child now holds."""
        os.close(self.child_end)

    def close(self) -> None:
        """Read what is left and stop."""
        while self._fd >= 0 and self._read():
            pass
        self._take(b"\n" if self._rest else b"")
        if self._fd >= 0:
            self._end()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._end()
            return False
        self._take(chunk)
        return True

    def _take(self, chunk: bytes) -> None:
        data = self._rest + chunk
        end = data.rfind(b"\n") + 1
        if not end and len(data) > _LONGEST_LINE:
            data, end = data + b"\n", len(data) + 1
        self._rest = data[end:]
        if end:
            whole = data[:end]
            self._tail = (self._tail + whole[-_TAIL:])[-_TAIL:]
            if self._output is not None:
                self._output.write(whole)

    def _end(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1


def _opened(target: int) -> _Sink:
    """The sink behind ``target``.

    O_NONBLOCK belongs to the open file and not to the descriptor: set on the one that we were given, it would hit the
    shell that shares it. So a pipe or terminal is opened once more, and a socket is told with each call.
    """
    mode = os.fstat(target).st_mode
    if stat.S_ISSOCK(mode):
        sock = socket.socket(fileno=os.dup(target))
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        return _Sink(lambda data: sock.send(data, flags), sock.fileno(), sock.close)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with contextlib.suppress(OSError):
            return _file(os.open(f"/proc/self/fd/{target}", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_NOCTTY))
    return _file(os.dup(target))


def _file(fd: int) -> _Sink:
    return _Sink(lambda data: os.write(fd, data), fd, lambda: os.close(fd))
