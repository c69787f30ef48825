"""A fleet under test: one control plane that can be killed, its two services, and Envoys that share one port.

The Envoys all bind the listeners that the one document names: the kernel deals connections out to whoever binds a
port with SO_REUSEPORT, as Envoy does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource

from gateway.bootstrap import build_bootstrap
from servicekit.address import Address
from tests.harness.envoy import Envoy, envoy_settings, running_envoy
from tests.harness.ports import free_port
from tests.harness.processes import wait_until_answers

_ADMIN_TOKEN = "test-admin-token"
_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 10.0
_LOOK_EVERY = 0.02


class Part:
    """One of our own processes, by its command."""

    def __init__(self, command: str, *, folder: Path, told: dict[str, str], ready: str) -> None:
        self.log_path = folder / f"{command}.log"
        self._command = [sys.executable, "-m", "gateway", command]
        self._environment = os.environ | told
        self._folder = folder
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it writes is kept."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )

    def until_ready(self) -> None:
        """Wait until it can do its work."""
        assert self._process is not None
        try:
            wait_until_answers(self._ready, self._process, seconds=_STARTS_WITHIN)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_path.read_text()[-4000:]}") from error

    def kill(self) -> None:
        """As ``kill -9`` does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_STOPS_WITHIN)

    def stop(self) -> None:
        """As a supervisor does; fails when it does not end well."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{error}\n{self.log_path.read_text()[-4000:]}") from error
        else:
            assert status == 0, self.log_path.read_text()[-4000:]
        finally:
            if self._process.poll() is None:
                self.kill()


class Fleet:
    """The control plane and its services. Use as a context manager; ``redis_url`` is where the buckets are."""

    def __init__(self, folder: Path, *, redis_url: str) -> None:
        self.folder = folder
        self.document = folder / "document" / "gateway.yaml"
        self.document.parent.mkdir()
        self.xds = Address(path=str(folder / "xds.sock"))
        self._admin = f"127.0.0.1:{free_port()}"
        self._authz = Address(path=str(folder / "ext_authz.sock"))
        self._limiter = Address(path=str(folder / "ratelimit.sock"))
        self.client = httpx.AsyncClient(
            base_url=f"http://{self._admin}",
            headers={"authorization": f"Bearer {_ADMIN_TOKEN}"},
            timeout=10,
            trust_env=False,
        )
        common = {"GATEWAY_XDS_ADDRESS": str(self.xds), "GATEWAY_DRAIN_SECONDS": "0.2", "GATEWAY_LOG_LEVEL": "INFO"}
        self.control_plane = Part("controlplane", folder=folder, told=self._for_control_plane(), ready=self._ready())
        authz_http, limiter_http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.ext_authz, self._limits = (
            Part(
                "ext-authz",
                folder=folder,
                told=common
                | {
                    "GATEWAY_NODE_ID": "ext-authz",
                    "GATEWAY_EXT_AUTHZ_BIND": str(self._authz),
                    "GATEWAY_EXT_AUTHZ_HTTP_BIND": authz_http,
                },
                ready=f"http://{authz_http}/health/ready",
            ),
            Part(
                "ratelimit",
                folder=folder,
                told=common
                | {
                    "GATEWAY_NODE_ID": "ratelimit",
                    "GATEWAY_RATELIMIT_BIND": str(self._limiter),
                    "GATEWAY_RATELIMIT_HTTP_BIND": limiter_http,
                    "GATEWAY_REDIS_URL": redis_url,
                },
                ready=f"http://{limiter_http}/health/ready",
            ),
        )

    def _for_control_plane(self) -> dict[str, str]:
        return {
            "GATEWAY_DOCUMENT": str(self.document),
            "GATEWAY_XDS_BIND": str(self.xds),
            "GATEWAY_ADMIN_BIND": self._admin,
            "GATEWAY_ADMIN_TOKEN": _ADMIN_TOKEN,
            "GATEWAY_STORE_URL": f"sqlite:///{self.folder / 'history.db'}",
            "GATEWAY_DRAIN_SECONDS": "0.2",
        }

    def _ready(self) -> str:
        return f"http://{self._admin}/health/ready"

    def __enter__(self) -> Self:
        parts = (self.control_plane, self.ext_authz, self._limits)
        try:
            for part in parts:
                part.start()
            for part in parts:
                part.until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        with ExitStack() as stack:
            for part in (self.control_plane, self.ext_authz, self._limits):
                stack.callback(part.stop)

    def write(self, text: str) -> None:
        """Save the document as editors do: a new file, renamed over the old one."""
        new = self.document.with_suffix(".new")
        new.write_text(text)
        new.replace(self.document)

    async def status(self) -> dict[str, Any] | None:
        """What the control plane says is live; ``None`` while it is away."""
        try:
            response = await self.client.get("/api/v1/status")
        except httpx.TransportError:
            return None
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    async def until_live(self, previous: str, *, seconds: float) -> str:
        """Wait until another document is live than the one with the digest ``previous``; its digest."""
        deadline = time.monotonic() + seconds
        while True:
            status = await self.status()
            if status is not None:
                assert not status["refused"], status["refused"]
                if status["digest"] not in ("", previous):
                    return str(status["digest"])
            assert time.monotonic() < deadline, f"not live within {seconds} s; the control plane says {status}"
            await asyncio.sleep(_LOOK_EVERY)

    async def revisions(self) -> list[dict[str, Any]]:
        """The whole history, newest first."""
        found: list[dict[str, Any]] = []
        before: int | None = None
        while True:
            query = {"limit": 200} | ({"before": before} if before is not None else {})
            page = (await self.client.get("/api/v1/revisions", params=query)).raise_for_status().json()
            found += page["items"]
            before = page["before"]
            if before is None:
                return found

    @contextmanager
    def envoy(self, name: str, *, delta: bool = True, xds: Address | None = None) -> Iterator[Envoy]:
        """One Envoy; ``xds`` is where it finds the control plane when that is not where it is."""
        folder = self.folder / name
        folder.mkdir()
        settings = envoy_settings(
            folder,
            node_id=name,
            xds_address=xds or self.xds,
            ext_authz_address=self._authz,
            ratelimit_address=self._limiter,
        )
        bootstrap = Bootstrap.FromString(bytes(build_bootstrap(settings)))
        if not delta:
            bootstrap.dynamic_resources.ads_config.api_type = ApiConfigSource.GRPC
        with running_envoy(bootstrap.SerializeToString(), settings, folder=folder) as envoy:
            yield envoy
