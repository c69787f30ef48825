"""Which route takes a request, and what happens to it on the way, in a real Envoy."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from controlplane.model import Gateway, RetryPolicy, ValueMatch
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane

RETRY = RetryPolicy(
    attempts=2, conditions=("5xx",), per_try_timeout=1.0, backoff_base=0.001, backoff_max=0.01, methods=("GET", "PUT")
)


def make(port: int, backend: int) -> Gateway:
    """One route of each kind of match; which one took a request is in the access log."""
    upstreams = [g.upstream(port=backend)]
    upstreams.append(g.upstream("fragile", backend, circuit_breaker=g.circuit_breaker(consecutive_failures=3)))
    return g.gateway(
        g.route("/health", "exact", name="own-health", hosts=("own.example.com",)),
        g.route("/api", name="segments"),
        g.route("/public/", name="below"),
        g.route("/exactly", "exact", name="exact"),
        g.route("/v[0-9]+/x", "regex", name="regex"),
        g.route("/write", name="write", methods=("POST", "PUT")),
        g.route("/write", name="read"),
        g.route("/h", name="header", headers=(ValueMatch(name="x-beta", kind="exact", value="1"),)),
        g.route("/h", name="no-header", headers=(ValueMatch(name="x-beta", kind="absent"),)),
        g.route("/host", name="one-host", hosts=("a.example.com",)),
        g.route("/host", name="all-below", hosts=("*.example.com",)),
        g.route("/host", name="any-host"),
        g.route("/retry", name="retry", retry=RETRY),
        g.route("/fragile", name="fragile", upstream="fragile"),
        listeners=(g.listener(port), g.listener(0, name="second")),
        upstreams=tuple(upstreams),
    )


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as running:
        yield running


def taken_by(plane: Plane, response: httpx.Response) -> str:
    """The name of the route that took a request."""
    return str(plane.envoy.logged(request_id=response.headers["x-request-id"])["route"])


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api", "segments"),
        ("/api/x", "segments"),
        ("/api?x=1", "segments"),
        ("/apix", "gateway.unmatched"),
        ("/public/x", "below"),
        ("/public", "gateway.unmatched"),
        ("/exactly", "exact"),
        ("/exactly/", "gateway.unmatched"),
        ("/v12/x", "regex"),
        ("/v12/xy", "gateway.unmatched"),
        ("/health", "gateway.health"),
        ("/health/x", "gateway.unmatched"),
    ],
)
def test_paths(plane: Plane, path: str, route: str) -> None:
    """Prefixes end where segments end; exact and regex compare the whole path without its query."""
    assert taken_by(plane, plane.client.get(path)) == route


@pytest.mark.parametrize(
    ("method", "route"), [("POST", "write"), ("PUT", "write"), ("GET", "read"), ("DELETE", "read")]
)
def test_methods(plane: Plane, method: str, route: str) -> None:
    """The first route that fits takes it."""
    assert taken_by(plane, plane.client.request(method, "/write")) == route


@pytest.mark.parametrize(
    ("headers", "route"), [({"x-beta": "1"}, "header"), ({}, "no-header"), ({"x-beta": "2"}, "gateway.unmatched")]
)
def test_headers(plane: Plane, headers: dict[str, str], route: str) -> None:
    """Exact values, and absence."""
    assert taken_by(plane, plane.client.get("/h", headers=headers)) == route


@pytest.mark.parametrize(
    ("host", "route"),
    [
        ("a.example.com", "one-host"),
        ("A.Example.com:8000", "one-host"),
        ("a.example.com.", "one-host"),
        ("b.example.com", "all-below"),
        ("b.c.example.com", "all-below"),
        ("example.com", "any-host"),
        ("other.org", "any-host"),
    ],
)
def test_hosts(plane: Plane, host: str, route: str) -> None:
    """The document's order decides among the routes that a host has; ports and letter case do not count."""
    assert taken_by(plane, plane.client.get("/host", headers={"host": host})) == route


def test_health_is_answered_on_every_host_unless_the_document_takes_it(plane: Plane) -> None:
    """By Envoy itself; a route for exactly that path wins on its hosts."""
    for host in ("a.example.com", "other.org"):
        response = plane.client.get("/health", headers={"host": host})
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert taken_by(plane, plane.client.get("/health", headers={"host": "own.example.com"})) == "own-health"


@pytest.mark.parametrize(("method", "tries"), [("GET", 3), ("PUT", 3), ("POST", 1)])
def test_only_the_listed_methods_are_sent_again(plane: Plane, method: str, tries: int) -> None:
    """A failed POST might have done its work."""
    before = len(plane.echo.requests)
    plane.echo.status = 503
    try:
        assert plane.client.request(method, "/retry").status_code == 503
    finally:
        plane.echo.status = 200
    assert len(plane.echo.requests) - before == tries


def test_the_breaker_opens_and_answers_without_the_backend(plane: Plane) -> None:
    """After three failures in a row the only endpoint is out, and the answer is 503 at once."""
    plane.echo.status = 500
    try:
        assert [plane.client.get("/fragile").status_code for _ in range(3)] == [500, 500, 500]
    finally:
        plane.echo.status = 200
    before = len(plane.echo.requests)
    response = plane.client.get("/fragile")
    assert response.status_code == 503
    assert response.json()["type"] == "urn:gateway:problem:no_healthy_upstream"
    assert len(plane.echo.requests) == before
    assert plane.client.get("/api").status_code == 200
