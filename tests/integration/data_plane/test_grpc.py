"""gRPC, and gRPC-Web byte by byte, through a real Envoy to a real gRPC server: the guide's document."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import grpc
import httpx
import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse
from google.protobuf.json_format import ParseDict

from servicekit.problems import MEDIA_TYPE, problem
from tests.harness.grpc_orders import SERVICE, Asked, Order, Orders, call, running_orders
from tests.harness.guides import gateway_of
from tests.harness.plane import Plane, running_plane
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

WEB = "application/grpc-web+proto"
WEB_TEXT = "application/grpc-web-text+proto"
ORIGIN = "https://app.example.com"
TRAILERS = 0x80
"""The bit of a frame that says what it holds (PROTOCOL-WEB of gRPC)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs."""

    plane: Plane
    orders: Orders
    channel: grpc.Channel

    def web(self, method: str, message: Any, media_type: str = WEB, **more: str) -> httpx.Response:
        """A call of a page in a browser."""
        frame = b"\x00" + len(body := message.SerializeToString()).to_bytes(4) + body
        headers = {
            "host": "web.example.com",
            "content-type": media_type,
            "accept": media_type,
            "x-grpc-web": "1",
            "origin": ORIGIN,
            **more,
        }
        content = base64.b64encode(frame) if media_type == WEB_TEXT else frame
        return self.plane.client.post(f"/{SERVICE}/{method}", content=content, headers=headers)

    @contextmanager
    def refusing(self, status: int) -> Iterator[None]:
        """Have ext_authz, or for 429 the rate-limit service, say no in the words of HTTP."""
        words = problem(status, "refused", "Not so fast.")
        authz, limiter = self.plane.authz.answer, self.plane.limiter.answer
        if status == 429:
            refusal = RateLimitResponse(overall_code=RateLimitResponse.OVER_LIMIT, raw_body=words)
            refusal.response_headers_to_add.append(HeaderValue(key="content-type", value=MEDIA_TYPE))
            refusal.response_headers_to_add.append(HeaderValue(key="retry-after", value="7"))
            self.plane.limiter.answer = refusal
        else:
            header = {"header": {"key": "www-authenticate", "value": "Bearer"}}
            denied = {"status": {"code": status}, "headers": [header], "body": words.decode()}
            self.plane.authz.answer = ParseDict({"status": {"code": 7}}, CheckResponse())
            self.plane.authz.answer.denied_response.CopyFrom(
                ParseDict({**denied, "status": {"code": HTTP[status]}}, CheckResponse().denied_response)
            )
        try:
            yield
        finally:
            self.plane.authz.answer, self.plane.limiter.answer = authz, limiter


HTTP = {401: "Unauthorized", 403: "Forbidden"}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One Envoy for all tests here."""
    options = [("grpc.default_authority", "grpc.example.com")]
    with (
        running_orders() as orders,
        running_plane(lambda port, _: gateway_of("grpc.md", {8000: port, 8048: orders.port})) as plane,
        grpc.insecure_channel(f"127.0.0.1:{plane.client.base_url.port}", options=options) as channel,
    ):
        yield Scene(plane, orders, channel)


def refused(ask: Callable[[], object]) -> Any:
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        ask()
    return caught.value


def test_a_call(scene: Scene) -> None:
    """Metadata, the answer, and the trailers behind it."""
    answer, done = call(scene.channel, "Get").with_call(Asked(id="a", pieces=3), metadata=[("x-shop", "one")])
    assert (answer.id, answer.pieces) == ("a", 3)
    assert done.code() is grpc.StatusCode.OK
    assert ("x-cost", "7") in done.trailing_metadata()
    method, metadata = scene.orders.calls[-1]
    assert (method, metadata["x-shop"]) == ("Get", "one")


def test_streams(scene: Scene) -> None:
    """Of answers, and both ways at once: each message arrives before the next is sent."""
    assert [one.id for one in call(scene.channel, "List")(Asked(pieces=3))] == ["0", "1", "2"]
    said: SimpleQueue[Any] = SimpleQueue()
    answers = call(scene.channel, "Chat")(iter(said.get, None), timeout=10)
    for number in ("0", "1", "2"):
        said.put(Order(id=number))
        assert next(answers).id == number
    said.put(None)
    assert not list(answers)


def test_errors_of_the_backend(scene: Scene) -> None:
    """Its own status, words and trailers."""
    error = refused(lambda: call(scene.channel, "Get")(Asked(id="missing")))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "no such order: 100% sure"
    assert ("x-cost", "7") in error.trailing_metadata()


@pytest.mark.parametrize(
    ("status", "code", "header"),
    [
        (401, grpc.StatusCode.UNAUTHENTICATED, ("www-authenticate", "Bearer")),
        (403, grpc.StatusCode.PERMISSION_DENIED, ("www-authenticate", "Bearer")),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED, ("retry-after", "7")),
    ],
)
def test_refusals_are_statuses(scene: Scene, status: int, code: grpc.StatusCode, header: tuple[str, str]) -> None:
    """In words for people, with the headers of the refusal; the backend hears nothing."""

    def ask() -> Any:
        before = len(scene.orders.calls)
        try:
            call(scene.channel, "Create")(Order(id="a"))
        except grpc.RpcError as found:
            assert len(scene.orders.calls) == before
            return found
        return None  # on a busy machine Envoy does not wait for the limiter

    with scene.refusing(status):
        error = wait_for(ask, seconds=10, what="a refusal")
    assert error.code() is code
    assert error.details()
    assert "{" not in error.details()
    assert header in error.trailing_metadata()


def test_a_flood_is_a_status(scene: Scene) -> None:
    """The same of limits that Envoy counts itself."""
    ask = scene.channel.unary_unary(f"/{SERVICE}/Flooded")
    codes = [refused(lambda: ask(b"")).code() for _ in range(3)]
    assert codes == [grpc.StatusCode.UNIMPLEMENTED, *[grpc.StatusCode.RESOURCE_EXHAUSTED] * 2]


def test_no_such_route_is_a_status(scene: Scene) -> None:
    """As if the service were not there."""
    error = refused(lambda: scene.channel.unary_unary("/shop.v1.Nowhere/Get")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_dead_backend_is_a_status() -> None:
    """Which clients take for what it is."""
    with (
        running_plane(lambda port, _: gateway_of("grpc.md", {8000: port, 8048: free_port()})) as plane,
        grpc.insecure_channel(
            f"127.0.0.1:{plane.client.base_url.port}", options=[("grpc.default_authority", "grpc.example.com")]
        ) as channel,
    ):
        error = refused(lambda: call(channel, "Get")(Asked(id="a")))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "{" not in error.details()


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """The frames of an answer in gRPC-Web: kind and content."""
    found = []
    while body:
        length = int.from_bytes(body[1:5])
        assert len(body) >= 5 + length
        found.append((body[0], body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def from_text(body: bytes) -> bytes:
    """The bytes of an answer as text, whose pieces may each be padded."""
    return b"".join(base64.b64decode(body[start : start + 4]) for start in range(0, len(body), 4))


@pytest.mark.parametrize("media_type", [WEB, WEB_TEXT])
def test_a_call_of_a_page(scene: Scene, media_type: str) -> None:
    """In HTTP/1.1: messages in frames, the trailers in the last; the backend hears gRPC."""
    answer = scene.web("List", Asked(pieces=2), media_type)
    assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
    assert answer.headers["content-type"] == media_type
    *messages, (kind, trailers) = frames(from_text(answer.content) if media_type == WEB_TEXT else answer.content)
    assert [(which, Order.FromString(one).id) for which, one in messages] == [(0, "0"), (0, "1")]
    assert kind == TRAILERS
    assert {b"grpc-status:0", b"x-cost:7"} <= {*trailers.split(b"\r\n")}


def test_an_error_of_the_backend_for_a_page(scene: Scene) -> None:
    """Status and words are readable, by pages of the allowed origin."""
    answer = scene.web("Get", Asked(id="missing"))
    told = dict(answer.headers)
    for kind, content in frames(answer.content):
        assert kind == TRAILERS
        told |= dict(line.split(":", 1) for line in content.decode().split("\r\n") if line)
    assert told["grpc-status"] == "5"
    assert told["grpc-message"].startswith("no such order")
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(("status", "code"), [(401, "16"), (403, "7"), (429, "14")])
def test_refusals_for_a_page(scene: Scene, status: int, code: str) -> None:
    """Statuses of HTTP, and of gRPC beside them, which the page may read."""

    def ask() -> httpx.Response | None:
        before = len(scene.orders.calls)
        found = scene.web("Create", Order(id="a"))
        if found.status_code == 200:  # on a busy machine Envoy does not wait for the limiter
            return None
        assert len(scene.orders.calls) == before
        return found

    with scene.refusing(status):
        answer = wait_for(ask, seconds=10, what="a refusal")
    assert (answer.status_code, answer.headers["grpc-status"]) == (status, code)
    assert "{" not in answer.headers["grpc-message"]
    assert answer.headers["content-type"] == WEB
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert {"grpc-status", "grpc-message"} <= {*answer.headers["access-control-expose-headers"].split(",")}


def test_the_preflight_of_a_page(scene: Scene) -> None:
    """Allows what gRPC-Web clients send, and what the document names."""
    asked = {
        "host": "web.example.com",
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-grpc-web,x-user-agent",
    }
    answer = scene.plane.client.options(f"/{SERVICE}/Get", headers=asked)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    allowed = {*answer.headers["access-control-allow-headers"].split(",")}
    assert allowed == {"authorization", "content-type", "grpc-timeout", "x-grpc-web", "x-user-agent"}


def test_grpc_on_a_route_for_pages(scene: Scene) -> None:
    """Goes on as it is."""
    options = [("grpc.default_authority", "web.example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{scene.plane.client.base_url.port}", options=options) as channel:
        assert call(channel, "Get")(Asked(id="a")).id == "a"


def test_only_where_it_is_asked_for(scene: Scene) -> None:
    """Elsewhere the backend gets it as it is, and does not understand it."""
    before = len(scene.orders.calls)
    answer = scene.web("Get", Asked(id="a"), host="grpc.example.com")
    assert answer.headers.get("grpc-status") != "0"
    assert len(scene.orders.calls) == before
