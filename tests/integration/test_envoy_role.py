"""``gateway envoy``: one Envoy, started, drained and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.harness import gateways
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import envoy_settings, short_folder, static_bootstrap
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port
from tests.harness.processes import wait_for, wait_until_answers


class Role:
    """One ``gateway envoy`` process in a folder of its own, which is its folder for temporary files too."""

    def __init__(
        self, folder: Path, health: str | None = None, *arguments: str, drain_seconds: float = 3, **environment: str
    ) -> None:
        self.health = health or f"127.0.0.1:{free_port()}"
        self.ready = f"http://{self.health}/health/ready"
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        told = {
            "GATEWAY_ENVOY_HEALTH_BIND": self.health,
            "GATEWAY_ENVOY_ADMIN": f"unix:{folder}/admin.sock",
            "GATEWAY_XDS_ADDRESS": f"unix:{folder}/nobody.sock",
            "GATEWAY_DRAIN_SECONDS": str(drain_seconds),
            "GATEWAY_ENVOY_CONCURRENCY": "1",
            "TMPDIR": str(self.temporary),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gateway", "envoy", *arguments],
            env={**os.environ, **told, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def until_started(self) -> None:
        """Wait until Envoy itself runs: until it has a configuration, its admin interface alone answers."""
        wait_for(lambda: True if (self.folder / "admin.sock").exists() else None, seconds=20, what="Envoy runs")

    def envoy(self) -> int:
        """The id of the Envoy process itself."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (found,) = children
        return int(found)

    def finish(self) -> tuple[int, str]:
        """Wait for its end: exit status and output."""
        output, _ = self.process.communicate(timeout=15)
        return self.process.returncode, output.decode()

    def stop(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for sockets."""
    with short_folder() as made:
        yield made


def gone(process_id: int) -> bool | None:
    """Whether no process has that id."""
    return None if Path(f"/proc/{process_id}").exists() else True


def test_without_a_control_plane_it_waits_and_is_not_ready(folder: Path) -> None:
    """It renders its own bootstrap, waits, and leaves nothing when it is told to stop."""
    role = Role(folder)
    try:
        role.until_started()
        assert not listens(int(role.health.partition(":")[2]))
        envoy = role.envoy()
        begun = time.monotonic()
        role.process.terminate()
        status, output = role.finish()
    finally:
        role.stop()
    assert status == 0, output
    assert time.monotonic() - begun < 2
    assert gone(envoy)
    assert list(role.temporary.iterdir()) == []


def test_both_end_together(folder: Path) -> None:
    """Envoy killed: the role says so and ends with 1. The role killed: Envoy is gone too."""
    first = Role(folder)
    try:
        first.until_started()
        os.kill(first.envoy(), signal.SIGKILL)
        status, output = first.finish()
        assert (status, output.splitlines()[-1]) == (1, "gateway: Envoy ended by itself with status -9")
    finally:
        first.stop()
    with short_folder() as another:
        second = Role(another)
        try:
            second.until_started()
            envoy = second.envoy()
        finally:
            second.stop()
        wait_for(lambda: gone(envoy), seconds=5, what="Envoy is gone")


@pytest.fixture
def backend() -> Iterator[Echo]:
    """One that a test can hold."""
    with running_echo() as echo:
        yield echo


@pytest.fixture
def serving(folder: Path, backend: Echo) -> Iterator[tuple[Role, int]]:
    """A role whose Envoy passes requests to the backend, and the port on which it does; drains up to 4 s."""
    port, settings = free_port(), envoy_settings(folder)
    upstream = gateways.upstream(port=backend.port)
    snapshot = edge_snapshot(gateways.gateway(listeners=(gateways.listener(port),), upstreams=(upstream,)))
    bootstrap = folder / "bootstrap.pb"
    bootstrap.write_bytes(static_bootstrap(snapshot, settings))
    role = Role(folder, str(settings.envoy_health_bind), "--bootstrap", str(bootstrap), drain_seconds=4)
    try:
        wait_until_answers(role.ready, role.process, seconds=20)
        yield role, port
    finally:
        backend.hold.set()
        role.stop()


def test_a_drain_fails_health_first_takes_on_nothing_later_and_lets_requests_finish(
    serving: tuple[Role, int], backend: Echo
) -> None:
    """With a request in flight: not ready at once, listening for half of the time, then closed; 200 in the end."""
    role, port = serving
    answers: list[httpx.Response] = []
    backend.hold.clear()
    request = threading.Thread(target=lambda: answers.append(httpx.get(f"http://127.0.0.1:{port}/x", timeout=10)))
    request.start()
    wait_for(lambda: True if backend.requests else None, seconds=5, what="the request is at the backend")
    role.process.terminate()
    wait_until_answers(role.ready, role.process, seconds=2, status=503)
    assert listens(port)
    wait_for(lambda: None if listens(port) else True, seconds=3, what="new connections are refused")
    backend.hold.set()
    request.join(10)
    assert [answer.status_code for answer in answers] == [200]
    assert role.finish()[0] == 0


def test_a_second_signal_ends_a_drain(serving: tuple[Role, int]) -> None:
    """Who is in a hurry says so twice."""
    role, port = serving
    with socket.create_connection(("127.0.0.1", port)):
        role.process.terminate()
        wait_until_answers(role.ready, role.process, seconds=2, status=503)
        role.process.terminate()
        begun = time.monotonic()
        assert role.finish()[0] == 0
    assert time.monotonic() - begun < 2


def test_a_binary_that_is_not_there_is_one_line(folder: Path) -> None:
    """It names it."""
    role = Role(folder, GATEWAY_ENVOY_PATH="/nonexistent/envoy")
    status, output = role.finish()
    assert status == 1
    assert output.startswith("gateway: /nonexistent/envoy is no program that can be run")
    assert output.count("\n") == 1


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
