"""What clients get when backends fail, and how much goes through, in a real Envoy with the document of the guide."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.harness.echo import Echo, running_echo
from tests.harness.guides import running_guide
from tests.harness.processes import wait_for

pytestmark = pytest.mark.xdist_group("failures")


@dataclass(frozen=True, slots=True)
class Scene:
    """The client, and the backends by the names of the upstreams."""

    client: httpx.Client
    third: Echo
    slow: Echo
    sick: Echo
    second: Echo


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One Envoy for all tests here."""
    with ExitStack() as stack:
        third, slow, sick, second = (stack.enter_context(running_echo()) for _ in range(4))
        sick.status = second.status = 503
        ports = {8048: third.port, 8049: slow.port, 8050: sick.port, 8051: second.port}
        _, client = stack.enter_context(running_guide("failures.md", ports))
        yield Scene(client, third, slow, sick, second)


def test_a_chain_of_stand_ins(scene: Scene) -> None:
    """Each takes over when the one before is out, and the last has them all."""
    ports = [scene.client.get("/chain").json()["port"] for _ in range(2)]
    assert ports == [scene.sick.port] * 2
    wait_for(
        lambda: scene.client.get("/chain").json()["port"] == scene.third.port or None, seconds=10, what="the last one"
    )
    assert len([one for one in scene.second.requests if one["path"] == "/chain"]) >= 2
    before = len(scene.sick.requests)
    assert scene.client.get("/chain").status_code == 200
    assert len(scene.sick.requests) == before


@pytest.mark.parametrize(
    ("upstream", "status", "text"),
    [
        (503, 200, '{"items": [], "share": "5%"}'),
        (404, 502, "Something is broken."),
        (500, 502, "Something is broken."),
    ],
)
def test_another_answer(scene: Scene, upstream: int, status: int, text: str) -> None:
    """By the status, exactly or by class; a per cent sign is no command."""
    scene.sick.status = upstream
    try:
        answer = scene.client.get("/replaced")
    finally:
        scene.sick.status = 503
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"] == ("application/json" if status == 200 else "text/plain")


def test_other_statuses_stay(scene: Scene) -> None:
    """What no replacement names is the upstream's."""
    scene.sick.status = 201
    try:
        answer = scene.client.get("/replaced")
    finally:
        scene.sick.status = 503
    assert (answer.status_code, answer.json()["path"]) == (201, "/replaced")


def test_the_faster_of_two_tries_is_heard(scene: Scene) -> None:
    """The first hangs and is not given up; when both could answer, one does."""
    scene.slow.hold.clear()
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(scene.client.get("/hedged", timeout=10)))
    asking.start()
    try:
        wait_for(lambda: len(scene.slow.requests) == 2 or None, seconds=5, what="a second try")
        assert not answers
    finally:
        scene.slow.hold.set()
        asking.join()
    (answer,) = answers
    assert answer.status_code == 200


def test_retries_by_status(scene: Scene) -> None:
    """As often as the route says, and then the last answer is the client's."""
    scene.sick.status = 429
    try:
        assert scene.client.get("/again").status_code == 429
    finally:
        scene.sick.status = 503
    assert sum(one["path"] == "/again" for one in scene.sick.requests) == 3


def test_retry_after(scene: Scene) -> None:
    """The answer says how long to wait, whatever the back-off would be."""
    scene.sick.status, scene.sick.extra = 429, {"retry-after": "1"}
    try:
        scene.client.get("/later")
    finally:
        scene.sick.status, scene.sick.extra = 503, {}
    first, second = (one["at"] for one in scene.sick.requests if one["path"] == "/later")
    assert 0.9 < second - first < 4


def test_a_budget_of_retries(scene: Scene) -> None:
    """A share of what is in flight, where a number would allow none."""
    for path, tries in (("/unbudgeted", 1), ("/budgeted", 2)):
        scene.client.get(path)
        assert sum(one["path"] == path for one in scene.sick.requests) == tries


@pytest.mark.parametrize("path", ["/idle", "/timed", "/bounded"])
def test_no_wait_is_for_ever(scene: Scene, path: str) -> None:
    """For silence, for the exchange, for the stream: each ends it long before the others would."""
    scene.slow.hold.clear()
    began = time.monotonic()
    try:
        answer = scene.client.get(path)
    finally:
        scene.slow.hold.set()
    assert answer.status_code in {504, 408}
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("size", "status"), [(10 * 1024, 200), (10 * 1024 + 1, 413)])
def test_bodies_are_bounded(scene: Scene, size: int, status: int) -> None:
    """To the byte, with a length or in chunks; and the upstream hears nothing of what is too large."""
    before = len(scene.third.requests)
    body = b"x" * size
    sent = scene.client.post("/small", content=body)
    assert sent.status_code == status
    if status == 200:
        assert sent.json()["body"] == body.decode()
    else:
        assert sent.json()["type"] == "urn:gateway:problem:content_too_large"
        assert scene.client.post("/small", content=iter([body[:100], body[100:]])).status_code == status
        assert len(scene.third.requests) == before


@pytest.mark.parametrize(
    ("path", "accepted", "encoding"),
    [
        ("/compressed", "gzip, br, zstd", "gzip"),
        ("/compressed", "zstd, br, gzip", "zstd"),
        ("/compressed", "br, gzip", "br"),
        ("/compressed", "gzip;q=1, br;q=0.5", "gzip"),
        ("/compressed", "identity", None),
        ("/gzip", "br, gzip;q=0.1", "gzip"),
        ("/gzip", "br", None),
        ("/plain", "gzip, br, zstd", None),
    ],
)
def test_compression(scene: Scene, path: str, accepted: str, encoding: str | None) -> None:
    """What the client prefers of what the route offers, or nothing."""
    body = "compressible " * 1000
    with scene.client.stream("POST", path, content=body, headers={"accept-encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    if encoding is None:
        assert json.loads(raw)["body"] == body
    else:
        assert len(raw) < len(body) / 10
        assert "accept-encoding" in answer.headers["vary"].lower()
    if encoding == "gzip":
        assert json.loads(gzip.decompress(raw))["body"] == body


def test_small_answers_are_not_compressed(scene: Scene) -> None:
    """Below 1 KiB there is nothing to win."""
    answer = scene.client.get("/gzip", headers={"accept-encoding": "gzip", "user-agent": "x"})
    assert "content-encoding" not in answer.headers
