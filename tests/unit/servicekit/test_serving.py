"""The life of a process, with real signals: start, drain, stop."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.harness.ports import free_port
from tests.harness.processes import wait_for, wait_until_answers

SERVICE = """
import asyncio, sys
import grpc, grpc.aio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from servicekit.address import Address
from servicekit.health import Health
from servicekit.http import HttpServer, health_routes
from servicekit.logs import configure_logging
from servicekit.serving import Process, run

http_port, grpc_port, drain, mode = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]

async def slow(request):
    print("busy", flush=True)
    await asyncio.sleep(float(request.query_params["seconds"]))
    return PlainTextResponse("done")

async def call(request, context):
    print("busy", flush=True)
    await asyncio.sleep(float(request))
    return b"done"

async def task():
    if mode == "task-fails":
        raise ValueError("broken task")
    if mode == "task-holds-on":
        async with asyncio.TaskGroup() as group:
            group.create_task(deaf_once(), name="child")
    await asyncio.Event().wait()

async def deaf_once():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()

async def stopped():
    print("cleaned up", flush=True)

async def build():
    health = Health()
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(call)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Call": handler}),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    app = Starlette(routes=[*health_routes(health), Route("/slow", slow)])
    return Process(health=health, http=HttpServer(app, Address("127.0.0.1", http_port)), grpc_server=server,
                   tasks={"watcher": task}, on_stopped=stopped, drain_seconds=drain)

configure_logging(service="test", level="INFO")
run(build)
"""


class Service:
    """One real process."""

    def __init__(self, *, drain: float = 3, mode: str = "normal", http_port: int | None = None) -> None:
        self.http_port, self.grpc_port = http_port or free_port(), free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(self.http_port), str(self.grpc_port), str(drain), mode],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.url = f"http://127.0.0.1:{self.http_port}"

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end: exit status, standard output and error."""
        out, err = self.process.communicate(timeout=15)
        return self.process.returncode, out.decode(), err.decode()

    def until_busy(self) -> None:
        """Wait until a request is being handled."""
        assert self.process.stdout is not None
        while b"busy" not in self.process.stdout.readline():
            pass


@contextmanager
def service(**options: Any) -> Iterator[Service]:
    """One that is ready."""
    made = Service(**options)
    try:
        wait_until_answers(f"{made.url}/health/ready", made.process, seconds=15)
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def in_thread(url: str, answers: list[str]) -> threading.Thread:
    """Send a request that takes a while."""

    def send() -> None:
        try:
            answers.append(httpx.get(url, timeout=10).text)
        except httpx.HTTPError as error:
            answers.append(type(error).__name__)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_requests_in_flight_and_ends_well(number: signal.Signals) -> None:
    """The request is answered, new connections are refused, the status is 0, and what was opened is closed."""
    with service() as running:
        answers: list[str] = []
        thread = in_thread(f"{running.url}/slow?seconds=0.7", answers)
        running.until_busy()
        running.process.send_signal(number)
        wait_for(lambda: refused(running.http_port), seconds=5, what="no new connections")
        thread.join(10)
        status, out, err = running.finish()
    assert answers == ["done"]
    assert (status, err) == (0, "")
    assert "cleaned up" in out
    messages = [json.loads(line)["message"] for line in out.splitlines() if line.startswith("{")]
    assert messages[-2:] == ["draining", "stopped"]


def test_draining_has_an_end() -> None:
    """A request that takes longer than the drain is given up."""
    with service(drain=1) as running:
        answers: list[str] = []
        thread = in_thread(f"{running.url}/slow?seconds=60", answers)
        running.until_busy()
        running.process.send_signal(signal.SIGTERM)
        thread.join(10)
        assert running.finish()[0] == 0
    assert answers != ["done"]


def test_a_task_that_does_not_hear_the_end_does_not_hold_it_up() -> None:
    """A cancellation that got lost in a library is told with the names of what still waits, and the process ends."""
    with service(drain=0.2, mode="task-holds-on") as running:
        running.process.send_signal(signal.SIGTERM)
        status, out, _ = running.finish()
    assert status == 0
    assert "cleaned up" in out
    told = [json.loads(line) for line in out.splitlines() if "did not end" in line]
    assert [(one["tasks"], one["waiting"]) for one in told] == [(["watcher"], ["child", "watcher"])]


def test_grpc_calls_in_flight_are_answered() -> None:
    """And readiness says that it drains while they are."""
    import grpc

    with service() as running, grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        call = channel.unary_unary("/test/Call", request_serializer=None, response_deserializer=None)
        answer = call.future(b"0.7", timeout=10)
        running.until_busy()
        running.process.send_signal(signal.SIGTERM)
        wait_until_answers(f"{running.url}/health/ready", running.process, seconds=5, status=503)
        assert answer.result() == b"done"
        assert running.finish()[0] == 0


def test_a_task_that_ends_ends_the_process() -> None:
    """Better dead and started again than alive and deaf."""
    made = Service(mode="task-fails")
    status, out, err = made.finish()
    assert status == 1
    assert "background task 'watcher' failed: broken task" in err
    assert "cleaned up" in out


def test_an_address_in_use_is_found_before_anything_starts() -> None:
    """The error names it, and nothing has claimed to be started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, out, err = Service(http_port=port).finish()
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in err
    assert "started" not in out


def refused(port: int) -> bool | None:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return True if probe.connect_ex(("127.0.0.1", port)) != 0 else None
