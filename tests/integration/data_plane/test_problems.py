"""Who says no in which words: Envoy's own answers are problem documents, our services' own stay theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse

from controlplane.model import Gateway
from servicekit.problems import MEDIA_TYPE, problem
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane
from tests.harness.ports import free_port

UNAUTHENTICATED = 16


def make(port: int, backend: int) -> Gateway:
    """Open, authenticated, limited, slow and dead routes."""
    return g.gateway(
        g.route("/open"),
        g.route("/private", authenticate=("platform",)),
        g.route("/limited", rate_limits=("per-ip",)),
        g.route("/slow", timeout=0.05, upstream="stuck"),
        g.route("/dead", upstream="dead"),
        listeners=(g.listener(port),),
        upstreams=(g.upstream(port=backend), g.upstream("dead", free_port()), g.upstream("stuck", backend)),
        identity_providers=(g.jwt_provider(),),
        rate_limits=(g.rate_limit(),),
    )


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as running:
        yield running


def check(response: httpx.Response, status: int, code: str) -> None:
    """It is a whole problem document with the request's ID."""
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    document = response.json()
    assert document["type"] == f"urn:gateway:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]


def test_no_such_route(plane: Plane) -> None:
    """404, and neither service is asked."""
    asked = len(plane.authz.asked), len(plane.limiter.asked)
    check(plane.client.get("/nowhere"), 404, "no_route")
    assert (len(plane.authz.asked), len(plane.limiter.asked)) == asked


def test_an_upstream_that_is_not_there(plane: Plane) -> None:
    """503 when no connection can be made."""
    check(plane.client.get("/dead"), 503, "upstream_unreachable")


def test_an_upstream_that_does_not_answer_in_time(plane: Plane) -> None:
    """504 after the route's time-out."""
    plane.echo.hold.clear()
    try:
        check(plane.client.get("/slow"), 504, "upstream_timeout")
    finally:
        plane.echo.hold.set()


def test_what_a_backend_says_is_left_alone(plane: Plane) -> None:
    """Its errors are its own."""
    plane.echo.status = 500
    try:
        response = plane.client.get("/open")
    finally:
        plane.echo.status = 200
    assert response.status_code == 500
    assert response.json()["path"] == "/open"


@pytest.mark.parametrize("status", [401, 403, 503])
def test_the_words_of_ext_authz_survive(plane: Plane, status: int) -> None:
    """Status, body, content type and challenge reach the client as they were sent."""
    body = problem(status, "its_own_code", "Its own words.")
    denial = CheckResponse()
    denial.status.code = UNAUTHENTICATED
    denial.denied_response.status.code = status
    denial.denied_response.body = body.decode()
    for name, value in (("content-type", MEDIA_TYPE), ("www-authenticate", "Bearer")):
        denial.denied_response.headers.add().header.CopyFrom(_header(name, value))
    plane.authz.answer = denial
    try:
        response = plane.client.get("/private")
    finally:
        plane.authz.answer = CheckResponse()
    assert response.status_code == status
    assert response.content == body
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.headers["www-authenticate"] == "Bearer"
    assert "x-request-id" in response.headers


def test_the_words_of_the_limiter_survive(plane: Plane) -> None:
    """Status, body and headers reach the client as they were sent."""
    body = problem(429, "rate_limited", "Too many.")
    refusal = RateLimitResponse(overall_code=RateLimitResponse.OVER_LIMIT, raw_body=body)
    for name, value in (("content-type", MEDIA_TYPE), ("retry-after", "7"), ("ratelimit-limit", "100")):
        refusal.response_headers_to_add.append(_header(name, value))
    before, plane.limiter.answer = plane.limiter.answer, refusal
    try:
        response = plane.client.get("/limited")
    finally:
        plane.limiter.answer = before
    assert response.status_code == 429
    assert response.content == body
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.headers["retry-after"] == "7"
    assert response.headers["ratelimit-limit"] == "100"


def test_grpc_clients_get_grpc(plane: Plane) -> None:
    """Their status is a trailer, with no JSON in its message."""
    headers = {"content-type": "application/grpc", "te": "trailers"}
    with httpx.Client(base_url=plane.client.base_url, http1=False, http2=True) as client:
        response = client.post("/nowhere", headers=headers)
    assert response.headers["grpc-status"] == "12"
    assert "{" not in response.headers.get("grpc-message", "")


def test_services_that_are_away() -> None:
    """Without ext_authz it is 503 in our words, never 401 or 403; without the limiter requests pass."""
    with running_plane(make, authz=False, limiter=False) as plane:
        check(plane.client.get("/private"), 503, "authentication_unavailable")
        assert plane.client.get("/limited").status_code == 200
        assert plane.client.get("/open").status_code == 200


def test_too_many_headers(plane: Plane) -> None:
    """431 as a document, although Envoy had not numbered the request yet."""
    response = plane.client.get("/open", headers={f"x-{n}": "1" for n in range(200)})
    assert response.status_code == 431
    assert json.loads(response.content)["type"] == "urn:gateway:problem:headers_too_large"


def _header(name: str, value: str) -> HeaderValue:
    return HeaderValue(key=name, value=value)
