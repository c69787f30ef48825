"""A real Envoy in a folder of its own, with a bootstrap of ours and, where asked, a snapshot put into it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap

from controlplane.preflight.static_config import static_config
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot
from gateway.binaries import envoy_path
from gateway.bootstrap import build_bootstrap
from gateway.envoy_settings import EnvoySettings
from servicekit.address import Address
from servicekit.contracts.data_plane import RESERVED_PREFIX
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

_ARGUMENTS = ("--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "20", "--log-level", "warn")
_EXIT_SECONDS = 10
_ENDED = (0, -signal.SIGTERM)
"""The latter before Envoy has come to handling signals."""


def envoy_settings(folder: Path, **changes: Any) -> EnvoySettings:
    """Settings of an Envoy whose sockets are all in ``folder``, and which takes nothing from the environment."""
    settings: dict[str, Any] = {
        "node_id": "test",
        "envoy_admin": Address(path=str(folder / "admin.sock")),
        "envoy_health_bind": Address(host="127.0.0.1", port=free_port()),
        "xds_address": Address(path=str(folder / "xds.sock")),
        "ext_authz_address": Address(path=str(folder / "ext_authz.sock")),
        "ratelimit_address": Address(path=str(folder / "ratelimit.sock")),
        "response_cache_address": Address(path=str(folder / "response_cache.sock")),
    }
    return EnvoySettings(**(settings | changes))


def static_bootstrap(snapshot: Snapshot, settings: EnvoySettings) -> bytes:
    """The bootstrap of ``settings`` with ``snapshot`` inside it in place of a control plane."""
    bootstrap = Bootstrap.FromString(bytes(build_bootstrap(settings)))
    if snapshot.of_type(types.SECRET):  # nobody brings them, and Envoy can only be asked whether it would take the rest
        for source in ("lds_config", "cds_config"):
            bootstrap.dynamic_resources.ClearField(source)
    else:
        bootstrap.ClearField("dynamic_resources")
    bootstrap.cluster_manager.ClearField("load_stats_config")
    own, given = bootstrap.static_resources, static_config(snapshot).static_resources
    own.listeners.extend(given.listeners)
    own.clusters.extend(cluster for cluster in given.clusters if not cluster.name.startswith(RESERVED_PREFIX))
    serialized: bytes = bootstrap.SerializeToString(deterministic=True)
    return serialized


def validate(bootstrap: bytes | str) -> None:
    """Have the real Envoy check ``bootstrap``; fails with Envoy's own words."""
    with short_folder() as folder:
        path = _write(folder, bootstrap)
        command = [str(envoy_path()), "--mode", "validate", "-c", str(path), "--log-level", "error"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class Envoy:
    """One running Envoy."""

    def __init__(self, *, process: subprocess.Popen[bytes], folder: Path, settings: EnvoySettings) -> None:
        self.process = process
        self.folder = folder
        self.settings = settings

    @property
    def health_url(self) -> str:
        """The base of its own health listener."""
        return f"http://{self.settings.envoy_health_bind}"

    def admin(self, path: str) -> httpx.Response:
        """GET from the admin interface."""
        transport = httpx.HTTPTransport(uds=self.settings.envoy_admin.path)
        with httpx.Client(transport=transport, base_url="http://envoy", timeout=5) as client:
            return client.get(path)

    def log(self) -> str:
        """What it wrote on standard error."""
        return (self.folder / "stderr").read_text()

    def access_log(self) -> list[dict[str, Any]]:
        """The lines of standard output so far; one that Envoy is still writing is none yet."""
        whole, _, _ = (self.folder / "stdout").read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def logged(self, **fields: object) -> dict[str, Any]:
        """The first access-log line with ``fields``; waits for it."""

        def line() -> dict[str, Any] | None:
            return next((line for line in self.access_log() if fields.items() <= line.items()), None)

        return wait_for(line, seconds=5, what=f"an access-log line with {fields}")

    def metrics(self) -> str:
        """Its Prometheus text."""
        return httpx.get(f"{self.health_url}/metrics", timeout=5).text

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a Prometheus counter's series with ``labels``."""
        total = 0.0
        for line in self.metrics().splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(f'{key}="{text}"' in series for key, text in labels.items()):
                total += float(value)
        return total


@contextmanager
def running_envoy(
    bootstrap: bytes | str, settings: EnvoySettings, *, folder: Path, wait: bool = True
) -> Iterator[Envoy]:
    """Start Envoy, wait until it is ready (unless told not to), and stop it; fails when it crashed or would not end."""
    command = [str(envoy_path()), "-c", str(_write(folder, bootstrap)), *_ARGUMENTS]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    envoy = Envoy(process=process, folder=folder, settings=settings)
    try:
        if wait:
            _wait_until_ready(envoy)
        yield envoy
    finally:
        _stop(envoy)


@contextmanager
def envoy_with(snapshot: Snapshot, **changes: Any) -> Iterator[Envoy]:
    """An Envoy that has ``snapshot``, in a folder of its own; ``changes`` go to its settings."""
    with short_folder() as folder:
        settings = envoy_settings(folder, **changes)
        with running_envoy(static_bootstrap(snapshot, settings), settings, folder=folder) as envoy:
            yield envoy


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ev"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _write(folder: Path, bootstrap: bytes | str) -> Path:
    """Envoy tells protobuf from YAML by the file's name."""
    if isinstance(bootstrap, str):
        path = folder / "bootstrap.yaml"
        path.write_text(bootstrap)
    else:
        path = folder / "bootstrap.pb"
        path.write_bytes(bootstrap)
    return path


def _wait_until_ready(envoy: Envoy) -> None:
    def ready() -> bool | None:
        assert envoy.process.poll() is None, f"Envoy ended with {envoy.process.returncode}:\n{envoy.log()}"
        try:
            return True if httpx.get(f"{envoy.health_url}/health/ready", timeout=2).status_code == 200 else None
        except httpx.TransportError:
            return None

    wait_for(ready, seconds=20, what="Envoy is ready")


def _stop(envoy: Envoy) -> None:
    envoy.process.terminate()
    deadline = time.monotonic() + _EXIT_SECONDS
    while envoy.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if envoy.process.poll() is None:
        envoy.process.kill()
        envoy.process.wait()
        raise AssertionError(f"Envoy did not end within {_EXIT_SECONDS} s:\n{envoy.log()}")
    assert envoy.process.returncode in _ENDED, f"Envoy ended with {envoy.process.returncode}:\n{envoy.log()}"
