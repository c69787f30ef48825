"""The ``gateway`` command inside the test's process, as a user sees it; and a control plane for it to talk to."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from gateway.cli.commands import build_app
from gateway.errors import CommandError
from servicekit.address import Address
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

TOKEN = "test-admin-token"
_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


def command(*words: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Run one command; ``env`` comes on top of the environment."""
    result = CliRunner().invoke(build_app(words), list(words), input=stdin, env=dict(env or {}))
    if result.exception is None or isinstance(result.exception, SystemExit):
        return Done(result.exit_code, result.stdout, result.stderr)
    if isinstance(result.exception, CommandError):  # what main() does with it
        return Done(1, result.stdout, f"{result.stderr}gateway: {result.exception}\n")
    raise result.exception


@dataclass(slots=True)
class ControlPlane:
    """One ``gateway controlplane`` process with a store of its own."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    admin: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    xds: Address = field(default_factory=lambda: Address(host="127.0.0.1", port=free_port()))

    @property
    def url(self) -> str:
        """Where its admin API is."""
        return f"{'https' if self.tls_dir else 'http'}://{self.admin}"

    @property
    def tls_dir(self) -> str:
        """The folder of its certificates, with their authority; empty without."""
        return self.settings.get("GATEWAY_ADMIN_TLS_DIR", "")

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to reach it; no file of this machine's user is read."""
        return {
            "GATEWAY_ADMIN_URL": self.url,
            "GATEWAY_ADMIN_TOKEN": TOKEN,
            "GATEWAY_ADMIN_CA": f"{self.tls_dir}/ca.crt" if self.tls_dir else "",
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }

    def run(self, *words: str, stdin: str | None = None, **env: str) -> Done:
        """Run a command that asks this control plane."""
        return command(*words, stdin=stdin, env=self.environment | env)

    def json(self, *words: str, stdin: str | None = None) -> Any:
        """What a command that succeeds prints as JSON."""
        done = self.run(*words, "--output", "json", stdin=stdin)
        assert done.code == 0, done.err
        return done.json

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        told = {
            "GATEWAY_XDS_BIND": str(self.xds),
            "GATEWAY_ADMIN_BIND": self.admin,
            "GATEWAY_ADMIN_TOKEN": TOKEN,
            "GATEWAY_STORE_URL": f"sqlite:///{self.folder / 'history.db'}",
            "GATEWAY_DRAIN_SECONDS": "0",
            **self.settings,
        }
        with (self.folder / "controlplane.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "controlplane"],
                env=os.environ | told,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._ready, seconds=_STARTS_WITHIN, what="the control plane is ready")

    def _ready(self) -> bool | None:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-4000:]
        trusted = ssl.create_default_context(cafile=f"{self.tls_dir}/ca.crt") if self.tls_dir else False
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=2, verify=trusted, trust_env=False)
        except httpx.TransportError:
            return None
        return True if answer.is_success else None

    def stop(self) -> None:
        """Stop it as a supervisor does."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOPS_WITHIN)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(_STOPS_WITHIN)

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "controlplane.log").read_text()


@contextmanager
def control_plane(folder: Path, **settings: str) -> Iterator[ControlPlane]:
    """A control plane that is ready; ``settings`` are its environment variables."""
    plane = ControlPlane(folder, settings)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
