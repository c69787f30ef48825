"""What a client says of itself never reaches a backend, through a real Envoy."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from controlplane.model import Gateway
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane


def make(port: int, backend: int) -> Gateway:
    """An open route, beside providers that set identity headers on others."""
    return g.gateway(
        g.route("/"),
        listeners=(g.listener(port),),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(g.jwt_provider(), g.api_key_provider()),
    )


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as running:
        yield running


@pytest.mark.parametrize("name", ["x-user-id", "X-USER-ID", "x_user_id", "X_User_Id", "x-partner", "x_partner"])
def test_forged_identity_headers_never_arrive(plane: Plane, name: str) -> None:
    """On an open route too, and in the spelling that WSGI reads the same."""
    received = plane.client.get("/", headers={name: "mallory", "x-other": "kept"}).json()
    assert "mallory" not in received["headers"].values()
    assert received["headers"]["x-other"] == "kept"


def test_several_forged_headers_of_one_name_never_arrive(plane: Plane) -> None:
    """Removing is removing all of them."""
    forged = [("x-user-id", "mallory"), ("X-User-Id", "mallory"), ("x_user_id", "mallory")]
    assert "mallory" not in plane.client.get("/", headers=forged).text


@pytest.mark.parametrize(
    "name", ["x-envoy-retry-on", "x-envoy-upstream-rq-timeout-ms", "x-envoy-original-path", "x-envoy-made-up"]
)
def test_the_internal_vocabulary_is_not_the_clients(plane: Plane, name: str) -> None:
    """Envoy's control headers do not pass."""
    assert name not in plane.client.get("/", headers={name: "1"}).json()["headers"]


def test_the_client_address_is_the_connections(plane: Plane) -> None:
    """Whatever proxies a client claims to have come through."""
    claims = {"x-forwarded-for": "6.6.6.6", "forwarded": "for=6.6.6.6", "x-real-ip": "6.6.6.6"}
    received = plane.client.get("/", headers=claims | {"x-envoy-external-address": "6.6.6.6"})
    assert "6.6.6.6" not in received.text
    assert received.json()["headers"]["x-envoy-external-address"] == "127.0.0.1"


def test_the_request_id_is_ours_everywhere(plane: Plane) -> None:
    """A client's own is replaced; backend, client and access log see the same new one."""
    response = plane.client.get("/some/path", headers={"x-request-id": "from-outside"})
    request_id = response.headers["x-request-id"]
    assert uuid.UUID(request_id)
    assert response.json()["headers"]["x-request-id"] == request_id
    assert plane.envoy.logged(request_id=request_id)["path"] == "/some/path"


@pytest.mark.parametrize("path", ["/public/..%2fapi", "/public/%2e%2e%2fapi", "/a%5cb", "/a%2Fb"])
def test_escaped_slashes_are_refused(plane: Plane, path: str) -> None:
    """A backend that decodes them would see another path than the one that chose the route."""
    response = plane.client.get(path)
    assert response.status_code == 400
    assert response.json()["type"] == "urn:gateway:problem:bad_request"


@pytest.mark.parametrize("path", ["/public/../x", "/public/%2e%2e/x", "//x", "/./x", "/public/.%2E/x"])
def test_paths_have_one_spelling(plane: Plane, path: str) -> None:
    """Dots and doubled slashes are gone before a route is chosen, and at the backend."""
    request = plane.client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    assert plane.client.send(request).json()["path"] == "/x"
