"""What ``controlplane.routing`` says of a request is what a real Envoy does with it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.any_pb2 import Any as ProtobufAny

from controlplane.model import Gateway, ValueMatch
from controlplane.routing import Asked, find_route
from controlplane.translate import names
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane

Request = tuple[str, str, str, dict[str, str]]


def value(name: str, kind: str, text: str = "") -> tuple[ValueMatch, ...]:
    """One comparison."""
    return (ValueMatch(name=name, kind=kind, value=text),)  # type: ignore[arg-type]  # tests name it in plain text


ROUTES = (
    g.route("/exact", "exact", name="exact"),
    g.route("/a/b", name="segments"),
    g.route("/below/", name="below"),
    g.route(r"/v[0-9]+/(x|y).*", "regex", name="regex"),
    g.route("/t/{a}/x/{b}", "template", name="template"),
    g.route("/t/*/y.z", "template", name="template-literal"),
    g.route("/t/r/{rest=**}", "template", name="template-rest"),
    g.route("/m", name="writes", methods=("POST", "PUT")),
    g.route("/m", name="deletes", methods=("DELETE",)),
    g.route("/m", name="reads"),
    g.route("/h", name="header-exact", headers=value("x-beta", "exact", "1")),
    g.route("/h", name="header-regex", headers=value("x-beta", "regex", "[2-9]+")),
    g.route("/h", name="header-absent", headers=value("x-beta", "absent")),
    g.route("/h", name="header-present", headers=value("x-beta", "present")),
    g.route("/q", name="query-exact", query=value("v", "exact", "1%202")),
    g.route("/q", name="query-regex", query=value("v", "regex", "a+")),
    g.route("/q", name="query-absent", query=value("v", "absent")),
    g.route("/q", name="query-present", query=value("v", "present")),
    g.route("/c", name="cookie-exact", cookies=value("s", "exact", "1.2")),
    g.route("/c", name="cookie-regex", cookies=value("s", "regex", "a+")),
    g.route("/c", name="cookie-absent", cookies=value("s", "absent")),
    g.route("/c", name="cookie-present", cookies=value("s", "present")),
    g.route("/host", name="one", hosts=("a.example.com",)),
    g.route("/host", name="deep", hosts=("*.b.example.com",)),
    g.route("/host", name="all-below", hosts=("*.example.com", "example.org")),
    g.route("/host", name="any-host"),
    g.route("/who", name="claims-to-be-alice", headers=value("x-user-id", "exact", "alice")),
    g.route("/who", name="nobody"),
)

_PATHS = """
    /exact /exact/ /exact?x /Exact /a/b /a/b/ /a/b/c /a/bc /a /below /below/ /below/x /v1/x /v12/yz /v/x /v1/z
    /a//b ///a///b //exact /a/./b /a/x/../b /./exact /a/b/.. /a/b/. /../../exact /a/%2e/b /a/x/%2E%2e/b /a/b/%2e%2E
    /a%2Fb /a%5cb /a\\b /%65xact /ex%61ct /exact%20 /exact%zz /exact% /exact;x=1 /a/b;c /exact%7e /a/b/%41
    /exact|x /exact^ /exact[1] /exact{1} /exact`x /exact"x /exact<x> /a/.../b /a/..b /a/b../c /exact?x=/../y
    /exact?x=//y /exact?x=%2F /health /health/ /health?x=1 /a/b?//.. /%2e%2e/exact /a/%2e%2e%2f/b /exact:1 /exact@x,y
    /t/1/x/2 /t/1/x/2/ /t/1/x/ /t//x/2 /t/1/y.z /t/1/yaz /t/a%2Fb/y.z /t/a|b/y.z /t/a=b*/x/~ /t/r /t/r/ /t/r/a/b
    /t/r/x/1 /t/r/y.z /t/x/x/x?y /t/1/X/2 /t/[1]/x/{2} /t/../t/1/x/2 /t/a^/y.z /t/~`/y.z /t/"<>/y.z /t/_$&+,;:@!()/x/1
    /a/b/%41%7e%2d%5f%30%39%21%28%2b%20%61%7a%5a%5b%40%60 /a/b#c /a/b/%C3%A4 /a/b/%7B%7c%25%23%3f%3B
"""
REQUESTS: list[Request] = [
    *(("GET", "a.test", path, {}) for path in _PATHS.split()),
    *((method, "a.test", "/m", {}) for method in ("GET", "POST", "PUT", "DELETE", "PATCH")),
    *(("GET", "a.test", "/h", headers) for headers in (
        {}, {"x-beta": "1"}, {"x-beta": "12"}, {"x-beta": "23"}, {"x-beta": ""}, {"X-Beta": "1"}, {"x_beta": "1"},
    )),
    *(("GET", "a.test", f"/q{query}", {}) for query in (
        "", "?", "?v=1%202", "?v=1+2", "?v=aa", "?v=aab", "?v", "?v=", "?w=1", "?w=1&v=a",
        "?v=a&v=1%202", "?V=a", "?v=a#v",
    )),
    *(("GET", "a.test", "/c", {"cookie": text}) for text in (
        "s=1.2", "s=1x2", "t=1; s=1.2", "t=1;s=1.2", "s=aa; t=2", "xs=aa", "s=", "s", "t=s=1.2", "s=1.2;",
        " s=1.2", "S=aa",
    )),
    ("GET", "a.test", "/c", {}),
    *(("GET", host, "/host", {}) for host in (
        "a.example.com", "A.EXAMPLE.com", "a.example.com:81", "a.example.com.", "x.b.example.com", "b.example.com",
        "y.x.b.example.com", "example.com", "example.org", "x.example.org", "other", "[::1]:8000", "127.0.0.1",
    )),
    *(("GET", "x.b.example.com", path, {}) for path in ("/exact", "/nothing", "/health")),
    ("GET", "a.test", "/who", {"x-user-id": "alice"}),
]  # fmt: skip


def make(port: int, backend: int) -> Gateway:
    """Every kind of match; who claims to be alice is not heard."""
    return g.gateway(
        *ROUTES,
        listeners=(g.listener(port),),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(g.jwt_provider(),),
    )


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all requests."""
    with running_plane(make) as running:
        yield running


@pytest.fixture(scope="module")
def config() -> RouteConfiguration:
    """What that Envoy has."""
    made = RouteConfiguration()
    kind = f"type.googleapis.com/{made.DESCRIPTOR.full_name}"
    routes = g.edge_snapshot(make(8000, 8048)).of_type(kind)[names.ROUTES]
    ProtobufAny.FromString(routes.body).Unpack(made)
    return made


def by_envoy(plane: Plane, request: Request) -> tuple[int, str, str | None]:
    """Status, route, and the path that the backend saw."""
    method, host, target, headers = request
    port = int(str(plane.client.base_url.port))
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, text in {"host": host, **headers}.items():
            connection.putheader(name, text)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        number = response.headers.get("x-request-id")
    route = str(plane.envoy.logged(request_id=number)["route"]) if number else ""
    path = json.loads(body)["path"] if response.status == 200 and b'"connection"' in body else None
    return response.status, route, path


@pytest.mark.parametrize(
    "request_", REQUESTS, ids=lambda request: f"{request[0]} {request[1]}{request[2]} {request[3]}"
)
def test_the_answer_is_envoys(plane: Plane, config: RouteConfiguration, request_: Request) -> None:
    """The same route, the same path at the backend, and 400 for what Envoy refuses."""
    status, route, path = by_envoy(plane, request_)
    said = Asked.of(request_[0], request_[1], request_[2], request_[3], hidden=("x-user-id",))
    if said is None:
        assert status == 400
        return
    found = find_route(config, said)
    assert (found.name if found is not None else None) == route
    if path is not None:
        assert said.path == path
