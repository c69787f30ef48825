"""What keeps backends from more than they can do: the guide's document in a real Envoy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import Envoy
from tests.harness.guides import running_guide
from tests.harness.processes import wait_for

pytestmark = pytest.mark.xdist_group("pressure")

TOO_MANY = "urn:gateway:problem:too_many_requests"


@dataclass(frozen=True, slots=True)
class Scene:
    """An Envoy with the document of the guide, and its backend."""

    client: httpx.Client
    app: Echo
    struggling: Echo
    envoy: Envoy

    def seen(self, path: str) -> int:
        """How many requests the backend has got."""
        return sum(one["path"] == path for one in self.app.requests)

    def limit(self) -> int:
        """Requests that may be under way at a time."""
        name = "adaptive_concurrency.gradient_controller.concurrency_limit"
        return int(self.envoy.admin(f"/stats?filter={name}").text.rpartition(" ")[2])

    def slowly(self, times: int) -> list[int]:
        """Answers to so many requests at a time, to which the backend answers late."""
        self.app.hold.clear()
        late = threading.Timer(0.4, self.app.hold.set)
        late.start()
        try:
            with ThreadPoolExecutor(times) as pool:
                return [one.status_code for one in pool.map(self.client.get, ["/slow"] * times)]
        finally:
            late.join()

    def statuses(self, path: str, times: int, address: str = "127.0.0.1") -> list[int]:
        """Answers to a client that has this address."""
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=self.client.base_url, transport=transport) as client:
            return [client.get(path).status_code for _ in range(times)]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One Envoy for all tests here."""
    with ExitStack() as stack:
        app, struggling = (stack.enter_context(running_echo()) for _ in range(2))
        ports = {8048: app.port, 8049: struggling.port}
        envoy, client = stack.enter_context(running_guide("pressure.md", ports))
        yield Scene(client, app, struggling, envoy)


def test_a_flood_ends_at_envoy(scene: Scene) -> None:
    """The burst passes, the rest does not and nobody hears of it; tokens flow in evenly, and other routes are free."""
    statuses = [scene.client.get("/flooded").status_code for _ in range(30)]
    assert statuses[:8] == [200] * 8
    assert statuses.count(200) <= 8 + 5, "a token a second"
    assert scene.seen("/flooded") == statuses.count(200)
    wait_for(lambda: scene.client.get("/flooded").status_code == 200 or None, seconds=10, what="the next token")
    assert {scene.client.get("/free").status_code for _ in range(30)} == {200}


def test_a_flood_of_one_address(scene: Scene) -> None:
    """Others are not refused because of it."""
    assert scene.statuses("/by-address", 5) == [200] * 3 + [429] * 2
    assert scene.statuses("/by-address", 5, "127.0.0.2") == [200] * 3 + [429] * 2
    assert scene.seen("/by-address") == 6


def test_a_refusal(scene: Scene) -> None:
    """A problem document, and when to come again."""
    wait_for(lambda: scene.client.get("/by-address").status_code == 429 or None, seconds=5, what="a refusal")
    answer = scene.client.get("/by-address")
    assert (answer.json()["type"], answer.headers["retry-after"]) == (TOO_MANY, "3600")


@pytest.mark.parametrize("path", ["/uploads", "/downloads"])
def test_bandwidth(scene: Scene, path: str) -> None:
    """Three seconds' worth, of which the first passes at once, and all of it arrives."""
    body = "x" * (3 * 64 * 1024)
    began = time.monotonic()
    assert scene.client.post(path, content=body).json()["body"] == body
    assert time.monotonic() - began > 1.5


def test_admission_control(scene: Scene) -> None:
    """While the upstream fails most requests do not reach it; when it is well, all do again."""
    assert scene.statuses("/struggling", 20) == [200] * 20
    scene.struggling.status = 500
    statuses = scene.statuses("/struggling", 200)
    scene.struggling.status = 200
    assert len(scene.struggling.requests) == 20 + statuses.count(500)
    assert statuses.count(503) > 50
    wait_for(lambda: scene.statuses("/struggling", 20) == [200] * 20 or None, seconds=10, what="all are let through")
    assert 500 not in scene.statuses("/struggling", 20)


def test_adaptive_concurrency(scene: Scene) -> None:
    """Fast answers let more through at a time, slow ones fewer: the rest is refused at once, health is not."""

    def grown() -> bool | None:
        return (scene.client.get("/fast").status_code == 200 and scene.limit() > 20) or None

    def shrunk() -> bool | None:
        scene.slowly(10)
        return scene.limit() < 8 or None

    wait_for(grown, seconds=15, what="many are let through")
    assert scene.slowly(10) == [200] * 10
    wait_for(shrunk, seconds=15, what="few are let through")
    before = scene.seen("/slow")
    statuses = scene.slowly(20)
    assert statuses.count(503) >= 8
    assert scene.seen("/slow") - before == statuses.count(200)
    assert scene.client.get("/health").status_code == 200
    wait_for(grown, seconds=15, what="many are let through again")
