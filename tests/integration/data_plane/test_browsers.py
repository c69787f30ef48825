"""What pages in browsers may do, seen with the document of the guide in a real Envoy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.harness.echo import Echo, running_echo
from tests.harness.guides import running_guide

APP = "https://app.example.com"


@dataclass(frozen=True, slots=True)
class Scene:
    """A client of the listener, and the backend."""

    client: httpx.Client
    echo: Echo

    def preflight(self, path: str, origin: str, method: str = "PUT") -> httpx.Response:
        """What a browser asks first."""
        sent = {"origin": origin, "access-control-request-method": method}
        return self.client.options(path, headers=sent)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One Envoy for all tests here; nobody can authenticate, since that service is away."""
    with running_echo() as echo, running_guide("browsers.md", {8048: echo.port}) as (_, client):
        yield Scene(client, echo)


CAREFUL = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=(self)",
}


def allowed(answer: httpx.Response) -> dict[str, str]:
    """Everything that it says about CORS."""
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)}


@pytest.mark.parametrize("origin", [APP, "https://pr-7.preview.example.com"])
def test_preflights_are_answered(scene: Scene, origin: str) -> None:
    """Without asking who it is, and without the backend."""
    before = len(scene.echo.requests)
    answer = scene.preflight("/api/x", origin)
    assert answer.status_code == 200
    assert allowed(answer) == {
        "allow-origin": origin,
        "allow-methods": "GET,PUT",
        "allow-headers": "authorization,content-type",
        "expose-headers": "etag",
        "max-age": "3600",
    }
    assert len(scene.echo.requests) == before


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com.evil.test",
        "https://app.example.com:8443",
        "https://a.b.preview.example.com",
        "https://xxpreview.example.com",
        "null",
    ],
)
def test_other_origins_are_allowed_nothing(scene: Scene, origin: str) -> None:
    """Not by a preflight, and not by an answer: the browser shows it to nobody."""
    before = len(scene.echo.requests)
    assert not {"allow-origin", "allow-credentials"} & allowed(scene.preflight("/api/x", origin)).keys()
    assert len(scene.echo.requests) == before
    assert allowed(scene.client.get("/api/x", headers={"origin": origin})) == {}


def test_refusals_can_be_read(scene: Scene) -> None:
    """A page sees that nobody could say who it is."""
    answer = scene.client.get("/api/x", headers={"origin": APP})
    assert answer.status_code == 503
    assert allowed(answer) == {"allow-origin": APP, "expose-headers": "etag"}


def test_a_route_of_its_own_kind(scene: Scene) -> None:
    """The default is replaced as a whole, or gone."""
    open_to_all = scene.client.get("/public", headers={"origin": "https://anybody.test"})
    assert open_to_all.status_code == 200
    assert allowed(open_to_all)["allow-origin"] in ("*", "https://anybody.test")
    assert "allow-credentials" not in allowed(open_to_all)
    assert "origin" in open_to_all.headers["vary"]
    closed = scene.client.get("/internal", headers={"origin": APP})
    assert (closed.status_code, allowed(closed)) == (200, {})


def test_preflights_of_narrow_routes(scene: Scene) -> None:
    """They have neither the route's method nor its headers; those for other methods are not the route's."""
    answer = scene.preflight("/session", APP, "POST")
    assert allowed(answer)["allow-credentials"] == "true"
    assert allowed(answer)["allow-methods"] == "GET,POST"
    assert allowed(answer)["allow-headers"] == "x-version"
    assert scene.preflight("/session", APP, "DELETE").status_code == 404
    assert scene.client.options("/session", headers={"x-version": "2"}).status_code == 404
    used = scene.client.post("/session", headers={"x-version": "2", "origin": APP})
    assert used.json()["method"] == "POST"
    assert allowed(used) == {"allow-origin": APP, "allow-credentials": "true"}


def test_what_an_upstream_says_of_cors(scene: Scene) -> None:
    """The document decides, where it says anything."""
    scene.echo.extra = {"access-control-allow-origin": "*"}
    try:
        decided = scene.client.get("/public")
        left = scene.client.get("/internal", headers={"origin": APP})
    finally:
        scene.echo.extra = {}
    assert allowed(decided) == {}
    assert allowed(left) == {"allow-origin": "*"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/public/x", {}, 200),
        ("/health", {}, 200),
        ("/public/%2f", {}, 400),
        ("/nowhere", {}, 404),
        ("/api/x", {}, 503),
        ("/public", {f"x-{n}": "1" for n in range(200)}, 431),
        ("/nowhere", {"content-type": "application/grpc", "te": "trailers"}, 200),
    ],
)
def test_every_response_is_careful(scene: Scene, path: str, headers: dict[str, str], status: int) -> None:
    """An upstream's, whatever it says itself, and the gateway's own, with a route or before one was looked for."""
    scene.echo.extra = {"x-frame-options": "ALLOWALL", "content-security-policy": "default-src *"}
    try:
        answer = scene.client.get(path, headers=headers)
    finally:
        scene.echo.extra = {}
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in CAREFUL} == CAREFUL
    assert sorted(name for name, _ in answer.headers.multi_items() if name in CAREFUL) == sorted(CAREFUL)


def test_what_is_not_http_is_answered_carefully(scene: Scene) -> None:
    """400, before there are headers or a filter chain."""
    url = scene.client.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n")
        answer = raw.recv(65_536).decode().lower()
    assert answer.startswith("http/1.1 400")
    assert all(f"{name}: {value.lower()}\r\n" in answer for name, value in CAREFUL.items())


def test_a_route_may_be_less_careful(scene: Scene) -> None:
    """About what it names; the rest stays."""
    answer = scene.client.get("/widget").headers
    assert answer["content-security-policy"] == "frame-ancestors https://shop.example.com"
    assert "x-frame-options" not in answer
    assert answer["referrer-policy"] == "no-referrer"


def test_nothing_tells_of_the_inside(scene: Scene) -> None:
    """Servers, their versions, and Envoy's own headers."""
    scene.echo.extra = {"x-powered-by": "PHP/5.2", "x-envoy-upstream-service-time": "7", "x-envoy-anything": "x"}
    try:
        answers = [scene.client.get(path) for path in ("/public", "/nowhere", "/health")]
    finally:
        scene.echo.extra = {}
    assert answers[0].status_code == 200
    for answer in answers:
        assert not {"server", "x-powered-by"} & answer.headers.keys()
        assert not [name for name in answer.headers if name.startswith("x-envoy-")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://app.test"}, 200),
        ({"origin": "https://pay.shop.example.com"}, 200),
        ({"origin": "https://a.b.shop.example.com:8443"}, 200),
        ({"referer": "https://app.test/form"}, 200),
        ({"origin": "https://shop.example.com"}, 403),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "https://pay.shop.example.com.evil.test"}, 403),
        ({"origin": "https://evil.test/.shop.example.com"}, 403),
        ({"origin": "https://app.test.evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.test", "referer": "https://app.test/"}, 403),
        ({}, 403),
    ],
)
def test_forms_of_other_pages(scene: Scene, headers: dict[str, str], status: int) -> None:
    """They change nothing, and the backend hears nothing of them."""
    before = len(scene.echo.requests)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = scene.client.request(method, "/forms", headers={"host": "app.test", **headers})
        assert answer.status_code == status, method
    assert len(scene.echo.requests) == before + (4 if status == 200 else 0)


def test_who_only_reads_is_not_asked(scene: Scene) -> None:
    """Links from other pages go on."""
    assert scene.client.get("/forms", headers={"origin": "https://evil.test"}).status_code == 200
