"""A real Envoy and the rate-limit process of its own, which follows a control plane."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from controlplane.model import Gateway
from controlplane.translate import translate_release
from tests.harness.envoy import envoy_settings, running_envoy, static_bootstrap
from tests.harness.ports import free_port
from tests.harness.processes import wait_for, wait_until_answers

_START = [sys.executable, "-c", "from ratelimit_service.app import main; main()"]


@dataclass
class LimitedEdge:
    """What a client meets."""

    folder: Path
    client: httpx.Client
    settings: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    operations: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")

    def start(self) -> None:
        """Start the rate-limit process, and wait until it has a policy."""
        told = {
            "GATEWAY_STATE_DIR": str(self.folder / "state"),
            "GATEWAY_RATELIMIT_BIND": f"unix:{self.folder / 'ratelimit.sock'}",
            "GATEWAY_RATELIMIT_HTTP_BIND": self.operations,
            "GATEWAY_DRAIN_SECONDS": "0.2",
            **self.settings,
        }
        with (self.folder / "ratelimit.out").open("ab") as out:
            self.process = subprocess.Popen(_START, env=os.environ | told, stdout=out, stderr=out)
        wait_until_answers(f"http://{self.operations}/health/ready", self.process, seconds=20)

    def stop(self) -> None:
        """As a supervisor does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(10) == 0, self.output()
            self.process = None

    def output(self) -> str:
        """All that the process wrote so far."""
        return (self.folder / "ratelimit.out").read_text()

    def metric(self, line: str) -> bool:
        """Whether its page of metrics has this line."""
        return line in httpx.get(f"http://{self.operations}/metrics", timeout=5).text.splitlines()

    def status(self, path: str) -> int:
        """What one request is answered."""
        return self.client.get(path).status_code

    def until(self, path: str, status: int) -> float:
        """Ask until the answer has this status; how many seconds that took."""
        began = time.monotonic()
        wait_for(lambda: self.status(path) == status or None, seconds=10, what=f"{path} answers {status}")
        return time.monotonic() - began


@contextmanager
def limited_edge(gateway: Gateway, folder: Path, **environment: str) -> Iterator[LimitedEdge]:
    """An edge of what a document says; the process is told ``environment`` too."""
    settings = envoy_settings(folder)
    bootstrap = static_bootstrap(translate_release(gateway).groups["edge"], settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.listeners[0].port}", timeout=10) as client:
        edge = LimitedEdge(folder, client, environment)
        edge.start()
        try:
            with running_envoy(bootstrap, settings, folder=folder):
                yield edge
        finally:
            edge.stop()
