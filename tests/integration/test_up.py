"""``gateway up``: what it does when its parts are killed, when it is stopped, and when it can't start."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.demo_document import demo_document
from tests.harness.echo import running_echo
from tests.harness.gateway_up import GatewayUp, gateway_up
from tests.harness.load import Load
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

pytestmark = pytest.mark.timeout(90)


def document(gateway: GatewayUp) -> str:
    """The usual, with a limit for whoever has a token."""
    limits = "per-user: {by: user, requests: 1000, per: 1m}"
    return demo_document(gateway, limits=limits, of_guarded=", rate_limits: [per-user]")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayUp]:
    """One that is up, with its demo parts."""
    async with gateway_up(tmp_path) as started:
        started.write(document(started))
        await started.start()
        yield started


def run_folder(gateway: GatewayUp) -> Path:
    """The private folder of that run."""
    (envoy,) = gateway.process_ids("envoy")
    arguments = Path(f"/proc/{envoy}/cmdline").read_bytes().decode().split("\0")
    return Path(arguments[arguments.index("--bootstrap") + 1]).parent


def belonging_to(folder: Path) -> list[str]:
    """The command lines of all processes that were told of that folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if bytes(folder) in told:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


async def kill(gateway: GatewayUp, *words: str) -> int:
    """``kill -9`` the process whose command line holds ``words``, and return its id."""
    (process_id,) = gateway.process_ids(*words)
    os.kill(process_id, signal.SIGKILL)
    return process_id


async def until_restarted(gateway: GatewayUp, word: str, killed: int) -> None:
    """Wait until another process does the work of the killed one."""

    async def there() -> bool | None:
        return True if any(one != killed for one in gateway.process_ids(word)) else None

    await gateway.until(there, seconds=10, what=f"{word} runs again")


async def test_killed_parts_come_back_and_only_their_own_work_suffers(gateway: GatewayUp) -> None:
    """ext_authz: 503 behind a token, 200 within 5 s. Control plane: nobody notices. Envoy: back. All of it said."""
    token = {"authorization": f"Bearer {await gateway.token('alice')}"}
    await gateway.until_status("/api/x", 200, seconds=5, **token)

    await kill(gateway, "ext-authz")
    load = Load(port=gateway.port, path="/public/x", connections=2)
    open_route = asyncio.create_task(load.run())
    await gateway.until_status("/api/x", 503, seconds=5, **token)
    assert await gateway.until_status("/api/x", 200, seconds=5, **token) < 5

    killed = await kill(gateway, "controlplane")
    behind_token = Load(port=gateway.port, path="/api/x", connections=1, headers=token)
    guarded = asyncio.create_task(behind_token.run())
    await until_restarted(gateway, "controlplane", killed)
    for running in (load, behind_token):
        running.stop()
    assert set((await open_route).statuses) == {200}
    assert set((await guarded).statuses) <= {200, 429}

    # The one that came back is followed like the first.
    gateway.write(document(gateway) + "  - {match: {path_prefix: /added}, upstream: echo}\n")
    await gateway.until_status("/added/x", 200, seconds=10)

    killed = await kill(gateway, "envoy")
    await until_restarted(gateway, "envoy", killed)
    await gateway.until_status("/public/x", 200, seconds=10)
    for name in ("ext-authz", "controlplane", "envoy"):
        assert f"{name} died (killed by signal 9); starting it again" in gateway.log()


async def test_ctrl_c_leaves_nothing_within_five_seconds(gateway: GatewayUp) -> None:
    """No process and no file, also with a client that holds its connection open and one that waits for an answer."""
    folder = run_folder(gateway)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(belonging_to(folder)) >= 5
    with socket.create_connection(("127.0.0.1", gateway.port)) as idle:
        idle.sendall(b"GET /public/x HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(15).startswith(b"HTTP/1.1 200")
        waiting = asyncio.create_task(gateway.get_status("/public/x?delay=1s"))
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        gateway.signal(signal.SIGINT)
        assert await waiting == 200
        assert await gateway.ended() == 0
    assert time.monotonic() - begun < 5
    assert belonging_to(folder) == []
    assert not folder.exists()
    check_log(gateway.log().splitlines())


def check_log(lines: list[str]) -> None:
    """Every line is JSON and names its process, Envoy included, but for what is said to people."""
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"controlplane", "ext-authz", "ratelimit", "response-cache", "telemetry", "api-gateway", "envoy"} <= {
        line["service"] for line in logged
    }
    for line in logged:
        assert {"timestamp", "level", "message"} <= set(line)
    said = "\n".join(line for line in lines if not line.startswith("{"))
    assert "The gateway is up" in said
    assert "Traceback" not in said
    assert "was killed" not in said


async def test_without_a_document_all_goes_to_the_backend_and_a_killed_supervisor_leaves_no_process(
    tmp_path: Path,
) -> None:
    """Phase 1: ``/health`` is the gateway's own. ``kill -9`` of the supervisor takes every process with it."""
    async with gateway_up(tmp_path) as gateway:
        with running_echo() as backend:
            gateway.backend_port = backend.port
            await gateway.start(path="/health", demo=False)
            assert (await gateway.get("/health")).json() == {"status": "ok"}
            assert (await gateway.get("/anything")).status_code == 200
        folder = run_folder(gateway)
        gateway.signal(signal.SIGKILL)
        await gateway.ended()
        wait_for(lambda: True if belonging_to(folder) == [] else None, seconds=5, what="all processes are gone")
        shutil.rmtree(folder)


def up(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``gateway up`` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", "up", *arguments],
        env={**os.environ, "GATEWAY_ADMIN_BIND": f"127.0.0.1:{free_port()}", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_in_use_is_one_line_that_says_what_to_change(tmp_path: Path) -> None:
    """Before anything starts, and for each port at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "gateway.yaml"
        file.write_text(f"""
listeners: [{{name: web, port: {port}}}]
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:1"]}}]
routes: [{{match: {{path_prefix: /}}, upstream: echo}}]
""")
        free = {f"GATEWAY_{name}_BIND": f"127.0.0.1:{free_port()}" for name in ("ENVOY_HEALTH", "EXT_AUTHZ_HTTP")}
        done = up(str(file), **free, GATEWAY_TELEMETRY_HTTP_BIND=f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert f"port {port} is in use, and listener 'web' needs it. Change the port of that listener in {file}." in lines
    assert f"port {port} is in use, and telemetry needs it. Change GATEWAY_TELEMETRY_HTTP_BIND." in lines


def test_a_document_with_mistakes_starts_nothing(tmp_path: Path) -> None:
    """All of them are named, with line and column."""
    file = tmp_path / "gateway.yaml"
    file.write_text("listeners: [{name: http, prot: 80}]\nroutes: 3\n")
    done = up(str(file))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("gateway: nothing was started, for the document has mistakes:")
    assert re.search(rf"{re.escape(str(file))}:1:\d+: ", done.stderr)
    assert re.search(rf"{re.escape(str(file))}:2:\d+: ", done.stderr)
