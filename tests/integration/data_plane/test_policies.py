"""What the services are asked, in a real Envoy: which rule, which limits, in which order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse
from google.protobuf.struct_pb2 import Struct

from controlplane.model import Gateway
from tests.harness import gateways as g
from tests.harness.decisions import OK
from tests.harness.plane import Plane, running_plane

DENIED = 7


def make(port: int, backend: int) -> Gateway:
    """An open route, an authenticated one with all tiers, and a limited open one."""
    return g.gateway(
        g.route("/open"),
        g.route("/private", authenticate=("platform", "partners"), rate_limits=("per-user", "per-ip", "per-key")),
        g.route("/limited", rate_limits=("per-ip",)),
        listeners=(g.listener(port),),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(g.jwt_provider(), g.api_key_provider()),
        rate_limits=(
            g.rate_limit("per-ip", "ip"),
            g.rate_limit("per-user", "user"),
            g.rate_limit("per-key", "api_key"),
        ),
    )


@pytest.fixture(scope="module")
def running() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as plane:
        yield plane


@pytest.fixture
def plane(running: Plane) -> Plane:
    """With services that allow everything and remember nothing yet."""
    running.authz.answer, running.limiter.answer = CheckResponse(), OK
    running.authz.asked.clear()
    running.limiter.asked.clear()
    return running


def identified(**metadata: str) -> CheckResponse:
    """An allowing answer of ext_authz that says who is calling."""
    answer = CheckResponse(dynamic_metadata=Struct())
    answer.ok_response.SetInParent()
    answer.dynamic_metadata.update(metadata)
    header = answer.ok_response.headers.add().header
    header.key, header.value = "x-user-id", metadata["user_id"]
    return answer


def asked(plane: Plane) -> list[list[list[tuple[str, str]]]]:
    """The descriptors of each call to the limiter."""
    return [[[(e.key, e.value) for e in d.entries] for d in call.descriptors] for call in plane.limiter.asked]


def test_open_routes_ask_nobody(plane: Plane) -> None:
    """Neither service hears of them, nor of the gateway's own answers."""
    for path in ("/open", "/health", "/nowhere"):
        plane.client.get(path)
    assert not plane.authz.asked
    assert not plane.limiter.asked


def test_a_route_names_its_rule(plane: Plane) -> None:
    """Without the query of anybody's choosing, and without the body."""
    assert plane.client.post("/private?rule=none", content=b"secret").status_code == 200
    (check,) = plane.authz.asked
    assert list(check.attributes.context_extensions) == ["rule"]
    assert check.attributes.context_extensions["rule"].startswith("platform+partners~")
    assert check.attributes.request.http.path == "/private?rule=none"
    assert not check.attributes.request.http.body
    assert check.attributes.request.http.headers["x-request-id"]


def test_limits_by_ip_come_first_and_those_by_caller_last(plane: Plane) -> None:
    """Each descriptor names its limit and its caller; the caller comes from ext_authz."""
    plane.authz.answer = identified(user_id="alice", user="platform:alice", api_key="acme")
    response = plane.client.get("/private")
    assert response.json()["headers"]["x-user-id"] == "alice"
    assert asked(plane) == [
        [[("limit", "per-ip"), ("ip", "127.0.0.1")]],
        [
            [("limit", "per-user"), ("user", "platform:alice")],
            [("limit", "per-key"), ("api_key", "acme")],
        ],
    ]
    assert {call.domain for call in plane.limiter.asked} == {"gateway"}
    line = plane.envoy.logged(request_id=response.headers["x-request-id"])
    assert line["user_id"] == "alice"


def test_a_caller_without_an_api_key_is_not_counted_by_key(plane: Plane) -> None:
    """What a limit counts is not there: its descriptor is left out whole."""
    plane.authz.answer = identified(user_id="alice", user="platform:alice")
    plane.client.get("/private")
    assert asked(plane)[1] == [[("limit", "per-user"), ("user", "platform:alice")]]


def test_an_address_cannot_be_chosen(plane: Plane) -> None:
    """A client that claims other addresses is counted under its own."""
    plane.client.get("/limited", headers={"x-envoy-external-address": "6.6.6.6", "x-forwarded-for": "6.6.6.6"})
    assert asked(plane) == [[[("limit", "per-ip"), ("ip", "127.0.0.1")]]]


def test_a_flood_is_stopped_before_authentication(plane: Plane) -> None:
    """Over the limit by IP, ext_authz is not asked."""
    plane.limiter.answer = RateLimitResponse(overall_code=RateLimitResponse.OVER_LIMIT)
    assert plane.client.get("/private").status_code == 429
    assert not plane.authz.asked


def test_the_refused_are_not_counted_by_user(plane: Plane) -> None:
    """After a denial there is no second call to the limiter."""
    denial = CheckResponse()
    denial.status.code = DENIED
    denial.denied_response.status.code = 403
    plane.authz.answer = denial
    assert plane.client.get("/private").status_code == 403
    assert len(plane.limiter.asked) == 1


def test_a_header_that_could_be_split_is_not_forwarded(plane: Plane) -> None:
    """A claim with a line break in it never becomes two headers at the backend."""
    before = len(plane.echo.requests)
    plane.authz.answer = identified(user_id="alice\r\nx-admin: yes")
    assert plane.client.get("/private").status_code == 500
    assert len(plane.echo.requests) == before
