"""A control plane as a process of its own, which a test may kill."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.harness.ports import free_port

TOKEN = "the-admin-token"
_DEADLINE = 20.0


@dataclass(kw_only=True)
class ControlPlane:
    """One process."""

    process: subprocess.Popen[bytes]
    url: str

    def client(self) -> httpx.Client:
        """Has the admin token."""
        return httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"authorization": f"Bearer {TOKEN}"}, timeout=20, trust_env=False
        )

    def kill(self) -> None:
        """SIGKILL: nothing can be finished."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def running_control_plane(
    folder: Path, store_url: str, *, tls: ssl.SSLContext | None = None, **settings: str
) -> Iterator[ControlPlane]:
    """Start it with the document ``gateway.yaml`` in ``folder``, and wait until that is live.

    ``tls`` is what its clients trust when it speaks HTTPS.
    """
    port = free_port()
    url = f"{'https' if tls is not None else 'http'}://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_DOCUMENT": str(folder / "gateway.yaml"),
        "GATEWAY_STORE_URL": store_url,
        "GATEWAY_ADMIN_TOKEN": TOKEN,
        "GATEWAY_ADMIN_BIND": f"127.0.0.1:{port}",
        "GATEWAY_XDS_BIND": f"127.0.0.1:{free_port()}",
        "GATEWAY_ADMIN_REQUESTS_PER_SECOND": "1000000",
        **settings,
    }
    # Without the command around it there is no Envoy that would look at every document first.
    command = [sys.executable, "-c", "from controlplane.app import main; main()"]
    with (folder / "control-plane.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(verify=tls if tls is not None else True, timeout=1, trust_env=False) as http:
            _wait_until_ready(process, http, url, folder / "control-plane.log")
        yield ControlPlane(process=process, url=url)
    finally:
        process.kill()
        process.wait(10)


def _wait_until_ready(process: subprocess.Popen[bytes], http: httpx.Client, url: str, log: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if http.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(log.read_text())
