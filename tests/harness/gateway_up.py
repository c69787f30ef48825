"""A whole gateway under test: ``gateway up`` with the demo backend and identity provider, on free ports."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.harness.ports import free_port

_INTERVAL = 0.05
_PARTS = ("EXT_AUTHZ", "RATELIMIT", "RESPONSE_CACHE", "TELEMETRY")
_ADMIN_TOKEN = "test-admin-token"
_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 10.0


class GatewayUp:
    """One ``gateway up`` process with all that it starts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "document" / "gateway.yaml"
        self.path.parent.mkdir(parents=True)
        self.log_path = folder / "up.log"
        self.port, self.admin_port, self.backend_port, self.idp_port = (free_port() for _ in range(4))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.client = httpx.AsyncClient(timeout=5, trust_env=False)

    def write(self, document: str) -> None:
        """Save the document as editors do: a new file, renamed over the old one."""
        new = self.path.with_suffix(".new")
        new.write_text(document)
        new.replace(self.path)

    async def start(self, *, path: str = "/public/x", demo: bool = True) -> None:
        """Start, and wait for the first 200 on ``path``."""
        arguments = [str(self.path), "--demo"] if demo else []
        self._process = self._spawn([sys.executable, "-m", "gateway", "up", *arguments])
        await self.until_status(path, 200, seconds=_STARTS_WITHIN)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                command,
                env=self.environment(),
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def environment(self) -> dict[str, str]:
        """What the processes of this gateway, and commands about it, are told."""
        binds = ("ENVOY_HEALTH_BIND", *(f"{part}_HTTP_BIND" for part in _PARTS))
        return {
            **os.environ,
            **{f"GATEWAY_{bind}": f"127.0.0.1:{free_port()}" for bind in binds},
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_BACKEND_URL": f"http://127.0.0.1:{self.backend_port}",
            "GATEWAY_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "GATEWAY_ADMIN_TOKEN": _ADMIN_TOKEN,
            "GATEWAY_ADMIN_URL": f"http://127.0.0.1:{self.admin_port}",
            "GATEWAY_DEMO_BACKEND_BIND": f"127.0.0.1:{self.backend_port}",
            "GATEWAY_DEMO_IDP_BIND": f"127.0.0.1:{self.idp_port}",
        }

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to ``gateway up`` itself."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, _STOPS_WITHIN)

    async def stop(self) -> float:
        """Ctrl-C; return how many seconds it took until everything had ended."""
        await self.client.aclose()
        process = self._process
        if process is None or process.poll() is not None:
            return 0.0
        begun = time.monotonic()
        self.signal(signal.SIGINT)
        try:
            await self.ended()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return time.monotonic() - begun

    def log(self) -> str:
        """Everything that all processes wrote."""
        return self.log_path.read_text()

    async def token(self, sub: str, *more: str) -> str:
        """A token of the demo identity provider."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "gateway", "demo", "token", "--sub", sub, *more],
            env=self.environment(),
            capture_output=True,
            check=True,
            timeout=20,
        )
        return done.stdout.decode().strip()

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """``GET path`` through the gateway."""
        return await self.client.get(
            f"http://127.0.0.1:{self.port}{path}", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    async def get_status(self, path: str, **headers: str) -> int:
        """The status of ``GET path``; 0 when nobody answers."""
        try:
            return (await self.get(path, **headers)).status_code
        except httpx.TransportError:
            return 0

    async def until_status(self, path: str, status: int, *, seconds: float, **headers: str) -> float:
        """Wait for ``status``; return how many seconds it took."""

        async def there() -> bool | None:
            return True if await self.get_status(path, **headers) == status else None

        begun = time.monotonic()
        await self.until(there, seconds=seconds, what=f"{path} -> {status}")
        return time.monotonic() - begun

    async def admin(self, path: str) -> Any:
        """``GET path`` of the admin API, as its token's holder."""
        response = await self.client.get(
            f"http://127.0.0.1:{self.admin_port}{path}", headers={"authorization": f"Bearer {_ADMIN_TOKEN}"}
        )
        response.raise_for_status()
        return response.json()

    async def metrics(self) -> str:
        """The merged metrics."""
        return (await self.client.get(f"http://127.0.0.1:{self.admin_port}/metrics")).text

    async def until_refused(self, *, seconds: float) -> list[dict[str, Any]]:
        """Wait until the newest document is refused; return its problems."""

        async def refused() -> list[dict[str, Any]] | None:
            return (await self.admin("/api/v1/status"))["refused"] or None

        found: list[dict[str, Any]] = await self.until(refused, seconds=seconds, what="the document is refused")
        return found

    async def until(self, condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
        """The first result of the asynchronous ``condition`` that is not ``None``."""
        deadline = time.monotonic() + seconds
        while (found := await condition()) is None:
            ended = self._process is not None and self._process.poll() is not None
            assert not ended, f"gateway up ended:\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.log()[-4000:]}"
            await asyncio.sleep(_INTERVAL)
        return found

    def process_ids(self, *words: str) -> list[int]:
        """Ids of the processes of this run whose command line holds all ``words``."""
        assert self._process is not None
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if parent == self._process.pid and all(word.encode() in command for word in words):
                found.append(int(folder.name))
        return found


@asynccontextmanager
async def gateway_up(folder: Path) -> AsyncIterator[GatewayUp]:
    """A gateway that is not started yet, and is stopped at the end."""
    gateway = GatewayUp(folder)
    try:
        yield gateway
    finally:
        await gateway.stop()
