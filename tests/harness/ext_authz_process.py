"""The real ext_authz process, started from the policy on its disk as after a restart without a control plane."""

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

from servicekit.contracts import AuthPolicy
from servicekit.xds.last_good import LastGood, Policy
from tests.harness.ports import free_port
from tests.harness.processes import wait_until_answers


@dataclass
class ExtAuthzProcess:
    """One running process, which serves on ``folder/ext_authz.sock``."""

    process: subprocess.Popen[bytes]
    folder: Path
    http: str

    def metrics(self) -> str:
        """Its page."""
        return httpx.get(f"{self.http}/metrics", timeout=5).text

    def output(self) -> str:
        """All that it wrote so far."""
        return (self.folder / "authz.out").read_text()

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def ext_authz_process(folder: Path, policy: AuthPolicy, **environment: str) -> Iterator[ExtAuthzProcess]:
    """Start the process with ``policy``, wait until it is ready, and stop it; fails when it would not end well."""
    state = folder / "state"
    LastGood(state, AuthPolicy.__name__).save(Policy("1", policy.encode()))
    port = free_port()
    settings = {
        "GATEWAY_STATE_DIR": str(state),
        "GATEWAY_XDS_ADDRESS": f"unix:{folder / 'no-control-plane.sock'}",
        "GATEWAY_EXT_AUTHZ_BIND": f"unix:{folder / 'ext_authz.sock'}",
        "GATEWAY_EXT_AUTHZ_HTTP_BIND": f"127.0.0.1:{port}",
        "GATEWAY_DRAIN_SECONDS": "0.2",
    }
    with (folder / "authz.out").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ext_authz.app"], env=os.environ | settings | environment, stdout=out, stderr=out
        )
    running = ExtAuthzProcess(process, folder, f"http://127.0.0.1:{port}")
    try:
        wait_until_answers(f"{running.http}/health/ready", process, seconds=20)
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, running.output()
