"""What routes do with requests besides sending them to one upstream, seen by clients and backends of a real Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import Envoy
from tests.harness.guides import running_guide
from tests.harness.processes import wait_for


@dataclass(frozen=True, slots=True)
class Scene:
    """An Envoy, and two backends."""

    envoy: Envoy
    one: Echo
    two: Echo
    client: httpx.Client


@contextmanager
def running_scene() -> Iterator[Scene]:
    """With the document of the guide."""
    with (
        running_echo() as one,
        running_echo() as two,
        running_guide("routing.md", {8048: one.port, 8049: two.port}) as (envoy, client),
    ):
        yield Scene(envoy, one, two, client)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One Envoy for all tests here."""
    with running_scene() as running:
        yield running


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("version=2&debug=&tag=aa", True),
        ("tag=a&debug=1&version=2&more=x", True),
        ("version=2&tag=a", False),
        ("version=3&debug&tag=a", False),
        ("version=2&debug&tag=ab", False),
        ("version=2&debug&tag=a&off=", False),
    ],
)
def test_query_parameters(scene: Scene, query: str, *, matches: bool) -> None:
    """Exact, by regular expression, there and not there."""
    assert (scene.client.get(f"/query?{query}").text == "matched") is matches


@pytest.mark.parametrize(
    ("cookies", "matches"),
    [
        ("beta=1; trial=; group=a", True),
        ("x=y; group=b;trial=7; beta=1", True),
        ("beta=1; trial=7; group=ab", False),
        ("beta=12; trial=7; group=a", False),
        ("notbeta=1; trial=7; group=a", False),
        ("beta=1; group=a", False),
        ("beta=1; trial=7; group=a; old=x", False),
        ("beta=1; trial=7; group=a; older=x", True),
        ("", False),
    ],
)
def test_cookies(scene: Scene, cookies: str, *, matches: bool) -> None:
    """Whole names and whole values, wherever they stand in the header."""
    assert (scene.client.get("/cookies", headers={"cookie": cookies}).text == "matched") is matches


def test_a_split(scene: Scene) -> None:
    """Three of four go to the one; 200 requests are 8 standard deviations from going the other way round."""
    before = len(scene.two.requests)
    for _ in range(200):
        scene.client.get("/split")
    assert 20 < len(scene.two.requests) - before < 80


def test_a_mirror(scene: Scene) -> None:
    """The copy has the same path and host, and the client hears only of the other."""
    answer = scene.client.post("/mirrored", content=b"once", headers={"host": "api.example.com"})
    assert answer.json()["body"] == "once"
    copy = wait_for(
        lambda: next((one for one in scene.two.requests if one["path"] == "/mirrored"), None), seconds=5, what="a copy"
    )
    assert copy["body"] == "once"
    assert copy["headers"]["host"] == "api.example.com"


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/old", "/new"),
        ("/old/x?q=1", "/new/x?q=1"),
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip/x/strip/y?q=1", "/x/strip/y?q=1"),
        ("/here?q=1", "/there%20?q=1"),
        ("/users/12?q=1", "/u/12/?q=1"),
        ("/users/ab", "/users/ab"),
        ("/shops/a%20b/orders/7?q=1", "/orders/7/of/a%20b?q=1"),
        ("/shops/a|b=*/orders/7", "/orders/7/of/a%7Cb=*"),
        ("/shops/x/../a/orders/7", "/orders/7/of/a"),
        ("/shops//orders/7", "/app/shops/orders/7"),
        ("/shops/a/orders/7/x", "/app/shops/a/orders/7/x"),
        ("/shops/a/orders/", "/app/shops/a/orders/"),
        ("/files", "/app/files"),
        ("/", "/app/"),
        ("/x", "/app/x"),
    ],
)
def test_rewrites(scene: Scene, asked: str, seen: str) -> None:
    """By prefix in whole segments, whole, by template and by regular expression; the query stays."""
    assert scene.client.get(asked).json()["path"] == seen


def test_another_host(scene: Scene) -> None:
    """The upstream sees its own name, and is told what the client asked for; a client's own claim does not count."""
    sent = {"host": "api.example.com", "x-forwarded-host": "evil.example.com"}
    seen = scene.client.get("/old", headers=sent).json()["headers"]
    assert seen["host"] == "internal.example.com"
    assert seen["x-forwarded-host"] == "api.example.com"


@pytest.mark.parametrize(
    ("asked", "status", "location"),
    [
        ("/secure/x?q=1", 308, "https://api.example.com:8443/secure/x?q=1"),
        ("/moved/x?q=1", 307, "http://new.example.com/x"),
        ("/moved", 307, "http://new.example.com/"),
        ("/files/a/b?q=1", 307, "http://files.example.com/v1/a/b?q=1"),
        ("/files/", 307, "http://files.example.com/v1/"),
        ("/gone/x?q=1", 301, "http://api.example.com/elsewhere?q=1"),
    ],
)
def test_redirects(scene: Scene, asked: str, status: int, location: str) -> None:
    """What is not said stays as it was asked for."""
    answer = scene.client.get(asked, headers={"host": "api.example.com"})
    assert (answer.status_code, answer.headers["location"]) == (status, location)


def test_templates(scene: Scene) -> None:
    """Each segment is what it is, or anything; the log has the template."""
    assert scene.client.get("/shops/a/closed").text == "closed"
    assert scene.client.get("/shops/closed").json()["path"] == "/app/shops/closed"
    assert scene.client.get("/shops/a[1]|b=*/orders/9").status_code == 200
    assert scene.envoy.logged(route="/shops/{shop}/orders/{order}")["status"] == 200


def test_an_answer_of_the_gateways_own(scene: Scene) -> None:
    """As it was written, although failures of the gateway itself are problem documents."""
    answer = scene.client.get("/closed")
    assert (answer.status_code, answer.json()) == (503, {"closed": True})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "60"


def test_headers(scene: Scene) -> None:
    """Set, added beside, removed; variables stand for what they say, and a per cent sign for itself."""
    sent = [("x-route", "mine"), ("x-list", "client"), ("x-debug", "1"), ("cookie", "secret"), ("x-user", "root")]
    answer = scene.client.get("/headers", headers=sent)
    received = json.loads(answer.text)["headers"]
    assert received["x-route"] == "/headers GET http"
    assert received["x-percent"] == "5%REQ(cookie)%"
    assert received["x-from"] == "127.0.0.1"
    assert not received["x-user"]  # nobody: and not what the client says
    assert received["x-list"] in ("client,gateway", "gateway")  # the backend shows the last of several
    assert "x-debug" not in received
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["x-request"] == answer.headers["x-request-id"]
    assert answer.headers["vary"] == "origin"
    assert "server" not in answer.headers
