"""Which endpoints a node uses, by where it is and by labels: the guide's document in real Envoys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.harness.echo import Echo, running_echo
from tests.harness.guides import running_guide

pytestmark = pytest.mark.xdist_group("places")


@dataclass(frozen=True, slots=True)
class Scene:
    """A node and the backends that it knows."""

    client: httpx.Client
    backends: tuple[Echo, ...]

    def places(self, path: str, times: int = 12, headers: Mapping[str, str] | None = None) -> set[int]:
        """Which backends answer so many requests, by their positions."""
        ports = {self.client.get(path, headers=headers).json()["port"] for _ in range(times)}
        return {index for index, backend in enumerate(self.backends) if backend.port in ports}


@contextmanager
def node(region: str = "", zone: str = "") -> Iterator[Scene]:
    """An Envoy that is there."""
    with ExitStack() as stack:
        backends = tuple(stack.enter_context(running_echo()) for _ in range(3))
        ports = {8048 + index: backend.port for index, backend in enumerate(backends)}
        _, client = stack.enter_context(running_guide("places.md", ports, node_region=region, node_zone=zone))
        yield Scene(client, backends)


@pytest.mark.parametrize(
    ("region", "zone", "near"), [("eu", "a", {0}), ("us", "a", {2}), ("eu", "c", {0, 1, 2}), ("", "", {0, 1, 2})]
)
def test_the_own_zone_first(region: str, zone: str, near: set[int]) -> None:
    """One document, and each node uses what is where it is; who is elsewhere uses all. Only where it is asked for."""
    with node(region, zone) as scene:
        assert scene.places("/near") == near
        assert scene.places("/anywhere") == {0, 1}


def test_a_sick_zone_is_left() -> None:
    """When nobody of the own zone is well, the others get its requests, and nobody sick does."""
    with node("eu", "b") as scene:
        assert scene.places("/near") == {1}
        scene.backends[1].status = 503
        assert scene.client.get("/near").status_code == 503
        before = len(scene.backends[1].requests)
        assert scene.places("/near") == {0, 2}
        assert len(scene.backends[1].requests) == before


def test_subsets() -> None:
    """A route's labels have all to be there; by header, by shares, and all endpoints where none is asked for."""
    with node() as scene:
        assert scene.places("/test") == {2}
        assert scene.places("/shop") == {0}
        assert scene.places("/shop", headers={"x-preview": "1"}) == {1}
        assert scene.places("/parts", times=60) == {0, 1}
        assert scene.places("/all") == {0, 1, 2}


def test_a_subset_that_is_sick() -> None:
    """Nobody gets its requests, although others of the upstream are well."""
    with node() as scene:
        scene.backends[2].status = 503
        assert scene.client.get("/test").json()["port"] == scene.backends[2].port
        before = [len(backend.requests) for backend in scene.backends]
        assert scene.client.get("/test").json()["type"] == "urn:gateway:problem:no_healthy_upstream"
        assert [len(backend.requests) for backend in scene.backends] == before
        assert scene.places("/all") == {0, 1}
