"""Who may come, by IP address, through a real Envoy."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from controlplane.model import AddressRules, Gateway
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane
from tests.harness.ports import free_port

CLOSED = free_port()
"""Of a listener that takes nobody's connections."""


def make(port: int, backend: int) -> Gateway:
    """A listener behind a proxy, one that takes only others, and routes for some."""
    rules = AddressRules(allow=("192.0.2.0/24", "2001:db8::/32"), deny=("192.0.2.7/32",))
    return g.gateway(
        g.route("/inside", addresses=rules, authenticate=("platform",)),
        g.route("/outside", addresses=AddressRules(deny=("192.0.2.0/24",))),
        g.route("/"),
        listeners=(
            g.listener(port, trusted_proxies=1, addresses=AddressRules(allow=("127.0.0.0/8",))),
            g.listener(CLOSED, name="closed", addresses=AddressRules(deny=("127.0.0.1/32",))),
        ),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(g.jwt_provider(),),
    )


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "client", "status"),
    [
        ("/inside", "192.0.2.1", 200),
        ("/inside", "192.0.2.7", 403),
        ("/inside", "198.51.100.1", 403),
        ("/inside", "2001:db8::1", 200),
        ("/inside", "2001:db9::1", 403),
        ("/inside", "192.0.2.1, 198.51.100.1", 403),
        ("/outside", "192.0.2.1", 403),
        ("/outside", "198.51.100.1", 200),
        ("/", "192.0.2.7", 200),
    ],
)
def test_addresses_of_a_route(plane: Plane, path: str, client: str, status: int) -> None:
    """Of the client behind the trusted proxy; nobody who may not come is asked who it is."""
    asked = len(plane.authz.asked)
    answer = plane.client.get(path, headers={"x-forwarded-for": client})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["type"] == "urn:gateway:problem:forbidden"
        assert len(plane.authz.asked) == asked


def test_addresses_of_a_listener(plane: Plane) -> None:
    """Closed without an answer, whatever the client says of itself."""
    assert plane.client.get("/").status_code == 200
    before = len(plane.echo.requests)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{CLOSED}/", headers={"x-forwarded-for": "192.0.2.1"}, timeout=5)
    assert len(plane.echo.requests) == before
