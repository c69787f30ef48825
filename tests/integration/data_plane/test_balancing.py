"""Which endpoint of an upstream gets a request, and when none does, seen by the backends of a real Envoy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import grpc
import httpx
import pytest

from tests.harness.echo import Echo, running_echo
from tests.harness.guides import running_guide
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

pytestmark = pytest.mark.xdist_group("balancing")

NO_ENDPOINT = "urn:gateway:problem:no_healthy_upstream"


@dataclass(frozen=True, slots=True)
class Scene:
    """An Envoy with the document of the guide, and its backends."""

    client: httpx.Client
    one: Echo
    two: Echo
    sick: Echo
    told: list[bytes]
    """First lines that the backend with the PROXY protocol has read."""

    def ports(self, path: str, times: int, **headers: str) -> list[int]:
        """Which backend answered each of so many requests."""
        return [self.client.get(path, headers=headers).json()["port"] for _ in range(times)]

    def problem(self, path: str) -> str:
        """What kind of problem the answer is, or nothing."""
        answer = self.client.get(path)
        kind = answer.headers["content-type"] == "application/problem+json"
        return str(answer.json()["type"]) if kind else ""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One Envoy for all tests here."""
    told: list[bytes] = []
    with ExitStack() as stack:
        one, two, sick = (stack.enter_context(running_echo()) for _ in range(3))
        sick.status = 503
        ports = {8048: one.port, 8049: two.port, 8050: sick.port, 8051: free_port()}
        ports |= {8052: stack.enter_context(grpc_health()), 8053: stack.enter_context(first_lines(told))}
        _, client = stack.enter_context(running_guide("upstreams.md", ports))
        yield Scene(client, one, two, sick, told)


def test_ties_by_a_header(scene: Scene) -> None:
    """One tenant, one endpoint; many tenants, all endpoints."""
    for tenant in ("a", "b", "c"):
        assert len({*scene.ports("/tied", 10, **{"x-tenant": tenant})}) == 1
    assert {port for n in range(30) for port in scene.ports("/tied", 1, **{"x-tenant": str(n)})} == {
        scene.one.port,
        scene.two.port,
    }


def test_ties_by_a_cookie(scene: Scene) -> None:
    """A client that has none is given one, and stays where it began."""
    with httpx.Client(base_url=scene.client.base_url) as browser:
        first = browser.get("/sticky")
        (cookie,) = first.headers.get_list("set-cookie")
        assert cookie.startswith("session=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip().strip('"') for part in cookie.split(";")}
        again = [browser.get("/sticky") for _ in range(10)]
        assert {answer.json()["port"] for answer in (first, *again)} == {first.json()["port"]}
        assert not any("set-cookie" in answer.headers for answer in again)


def test_a_reserve(scene: Scene) -> None:
    """It gets nothing while the others are well, and everything when they are out."""
    assert scene.ports("/reserve", 2) == [scene.sick.port] * 2
    wait_for(lambda: scene.ports("/reserve", 1) == [scene.one.port] or None, seconds=10, what="the reserve is used")
    assert scene.ports("/reserve", 5) == [scene.one.port] * 5


def test_health_by_http(scene: Scene) -> None:
    """An answer of another status is sick, and the check names its host."""
    wait_for(lambda: scene.problem("/asked") == NO_ENDPOINT or None, seconds=5, what="the sick endpoint is out")
    assert "health.example.com" in {one["headers"]["host"] for one in scene.sick.requests if one["path"] == "/healthz"}
    scene.sick.status = 404
    try:
        wait_for(lambda: scene.client.get("/asked").status_code == 404 or None, seconds=5, what="404 is well")
    finally:
        scene.sick.status = 503


def test_health_by_grpc(scene: Scene) -> None:
    """The service is asked about by its name, and then requests come."""
    wait_for(lambda: scene.problem("/grpc") != NO_ENDPOINT or None, seconds=5, what="the endpoint is well")


def test_health_by_connection(scene: Scene) -> None:
    """Nobody has to answer, only to be there."""
    wait_for(lambda: scene.client.get("/open").status_code == 200 or None, seconds=5, what="the endpoint is well")
    wait_for(lambda: scene.problem("/closed") == NO_ENDPOINT or None, seconds=5, what="the endpoint is out")


def test_panic(scene: Scene) -> None:
    """With too few that are well, the sick ones get requests too."""
    checks = len(scene.sick.requests)
    wait_for(lambda: len(scene.sick.requests) > checks + 3 or None, seconds=5, what="it has been checked")
    assert scene.client.get("/panicking").json()["port"] == scene.sick.port


@pytest.mark.parametrize("path", ["/gateway-failures", "/rate"])
def test_failures_take_an_endpoint_out(scene: Scene, path: str) -> None:
    """In a row, or as a share; then the answer is the gateway's own, and the backend hears nothing."""
    wait_for(lambda: scene.problem(path) == NO_ENDPOINT or None, seconds=20, what="the endpoint is out")
    before = sum(one["path"] == path for one in scene.sick.requests)
    assert scene.problem(path) == NO_ENDPOINT
    assert sum(one["path"] == path for one in scene.sick.requests) == before


def test_requests_of_a_connection(scene: Scene) -> None:
    """After two there is another one."""
    used = [scene.client.get("/short").json()["connection"] for _ in range(4)]
    assert used[0] == used[1] != used[2] == used[3]


def test_age_of_a_connection(scene: Scene) -> None:
    """A second later there is another one, although it was never idle."""
    first, began = scene.client.get("/aged").json()["connection"], time.monotonic()
    wait_for(
        lambda: scene.client.get("/aged").json()["connection"] != first or None, seconds=5, what="another connection"
    )
    assert time.monotonic() - began > 0.9


def test_the_proxy_protocol(scene: Scene) -> None:
    """The client's address comes before its request."""
    assert scene.client.get("/told").status_code == 204
    (line,) = scene.told
    assert line.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")


@contextmanager
def grpc_health() -> Iterator[int]:
    """A server that says SERVING of ``app.v1`` and NOT_FOUND of others; gives its port."""

    def check(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request != b"\x0a\x06app.v1":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return b"\x08\x01"

    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def first_lines(found: list[bytes]) -> Iterator[int]:
    """A server that notes the first line of each connection and answers 204; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, connection.makefile("rwb") as stream:
                    found.append(stream.readline())
                    while stream.readline().strip():
                        pass
                    stream.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                    stream.flush()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
