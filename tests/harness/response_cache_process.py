"""The real response cache, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.harness.ports import free_port
from tests.harness.processes import wait_until_answers


@dataclass(frozen=True, slots=True)
class ResponseCacheProcess:
    """One running process, which serves on :attr:`address`."""

    process: subprocess.Popen[bytes]
    address: str
    http: str
    log: Path

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of ``name`` with ``labels``."""
        total = 0.0
        for line in httpx.get(f"{self.http}/metrics", timeout=5).text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(f'{key}="{text}"' in series for key, text in labels.items()):
                total += float(value)
        return total

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def response_cache_process(folder: Path, **environment: str) -> Iterator[ResponseCacheProcess]:
    """Start the process on a socket in ``folder``, wait until it is ready, and stop it; fails when it ends badly."""
    port = free_port()
    address = f"unix:{folder / 'response_cache.sock'}"
    settings = {
        "GATEWAY_RESPONSE_CACHE_BIND": address,
        "GATEWAY_RESPONSE_CACHE_HTTP_BIND": f"127.0.0.1:{port}",
        "GATEWAY_DRAIN_SECONDS": "0.2",
    }
    log = folder / "response_cache.out"
    with log.open("ab") as out:
        command = [sys.executable, "-m", "gateway", "response-cache"]
        process = subprocess.Popen(command, env=os.environ | settings | environment, stdout=out, stderr=out)
    running = ResponseCacheProcess(process, address, f"http://127.0.0.1:{port}", log)
    try:
        wait_until_answers(f"{running.http}/health/ready", process, seconds=20)
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()
