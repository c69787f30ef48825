"""Real Sentinels that watch a Valkey with a replica, and promote the replica when the primary is gone."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.valkey import binary

NAME = "limits"
COUNT = 3
DOWN_AFTER = 1.0
"""Seconds of silence after which a server counts as down."""


class Sentinels:
    """:data:`COUNT` of them, which need two to agree."""

    def __init__(self, primary_port: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="st"))
        self.ports = [free_port() for _ in range(COUNT)]
        self._processes = [self._start(port, primary_port) for port in self.ports]

    @property
    def url(self) -> str:
        """Of the primary, whoever that is."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{NAME}"

    def wait(self) -> None:
        """Until all know each other and the replica."""
        for port in self.ports:
            wait_for(lambda port=port: self._knows_all(port) or None, seconds=30, what="the Sentinels know each other")  # type: ignore[misc]

    def kill(self, index: int) -> None:
        """End one."""
        self._processes[index].kill()
        self._processes[index].wait(10)

    def close(self) -> None:
        """End all, and remove their folder."""
        for index in range(COUNT):
            self.kill(index)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, port: int, primary_port: int) -> subprocess.Popen[bytes]:
        config = self.folder / f"{port}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary_port} 2\n"
            f"sentinel down-after-milliseconds {NAME} {int(DOWN_AFTER * 1000)}\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )
        with (self.folder / f"{port}.log").open("ab") as log:
            return subprocess.Popen([str(binary()), str(config), "--sentinel"], stdout=log, stderr=log)

    def _knows_all(self, port: int) -> bool:
        try:
            with redis.Redis(port=port) as client:
                state: dict[str, Any] = client.sentinel_master(NAME)
        except redis.RedisError:
            return False
        return (state["num-other-sentinels"], state["num-slaves"]) == (COUNT - 1, 1)


@contextmanager
def running_sentinels(primary_port: int) -> Iterator[Sentinels]:
    """Started, and ended at the end."""
    sentinels = Sentinels(primary_port)
    try:
        sentinels.wait()
        yield sentinels
    finally:
        sentinels.close()
