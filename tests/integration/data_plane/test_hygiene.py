"""Odd requests, byte by byte, against a real listener: what reaches a backend is what was routed on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from controlplane.model import Authorization, Gateway, HttpRules, Respond
from ext_authz.client_address import client_address
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane
from tests.harness.strict_backend import StrictBackend, running_strict_backend

PRIVATE = b"403"
CHUNKED = b"transfer-encoding: chunked\r\n"
LAST, LAST_STATUS = b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"404"
SMUGGLED = b"GET /private HTTP/1.1\r\nhost: a\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Scene:
    """A listener, and the backend behind it."""

    port: int
    backend: StrictBackend

    def send(self, data: bytes) -> list[bytes]:
        """The statuses of all answers, until the listener closes: because it is asked to, if it still listens."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as raw:
            raw.sendall(data + LAST)
            while not _is_last(received) and (piece := _received(raw)):
                received += piece
        statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
        return statuses[:-1] if statuses[-1:] == [LAST_STATUS] else statuses


def _received(raw: socket.socket) -> bytes:
    try:
        return raw.recv(65_536)
    except ConnectionResetError:
        return b""


def _is_last(received: bytes) -> bool:
    """Whether the last answer is whole and says so. Envoy leaves a second to a client before it closes."""
    head, found, body = received[received.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(found) and b"connection: close" in head and len(body) >= int(length[1] if length else 0)


@contextmanager
def running_scene(rules: HttpRules) -> Iterator[Scene]:
    """Nothing but `/public` goes to the backend."""
    with running_strict_backend() as backend:

        def make(port: int, _: int) -> Gateway:
            return g.gateway(
                g.route("/public", hosts=("a",)),
                g.route("/private", action=Respond(status=403, body="", content_type="text/plain")),
                listeners=(g.listener(port, http=rules),),
                upstreams=(g.upstream(port=backend.port),),
            )

        with running_plane(make) as plane:
            yield Scene(plane.client.base_url.port or 0, backend)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One with the rules of a document that says nothing."""
    with running_scene(HttpRules()) as running:
        yield running


def request(target: bytes = b"/public/x", *, host: bytes = b"a", headers: bytes = b"", body: bytes = b"") -> bytes:
    """A POST."""
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%b\r\n%b" % (target, host, headers, body)


BAD_FRAMING = {
    "length and chunks": request(headers=b"content-length: 4\r\n" + CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": request(headers=CHUNKED + b"content-length: 4\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "two lengths": request(headers=b"content-length: 0\r\ncontent-length: 34\r\n", body=SMUGGLED),
    "a list of lengths": request(headers=b"content-length: 0, 34\r\n", body=SMUGGLED),
    "a signed length": request(headers=b"content-length: +0\r\n", body=SMUGGLED),
    "a negative length": request(headers=b"content-length: -1\r\n", body=SMUGGLED),
    "a hexadecimal length": request(headers=b"content-length: 0x22\r\n", body=SMUGGLED),
    "a length beyond all": request(headers=b"content-length: 99999999999999999999\r\n", body=SMUGGLED),
    "an unknown coding": request(headers=b"transfer-encoding: xchunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "chunked, then another": request(headers=b"transfer-encoding: chunked, identity\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "a coding twice": request(headers=CHUNKED + b"transfer-encoding: identity\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "a quoted coding": request(headers=b'transfer-encoding: "chunked"\r\n', body=b"0\r\n\r\n" + SMUGGLED),
    "a coding with a control": request(headers=b"transfer-encoding: \x0bchunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "a space before the colon": request(headers=b"transfer-encoding : chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "a folded coding": request(headers=b"transfer-encoding:\r\n chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    "a chunk beyond all": request(headers=CHUNKED, body=b"fffffffffffffffff\r\n" + SMUGGLED),
    "a chunk with a sign": request(headers=CHUNKED, body=b"-1\r\n" + SMUGGLED),
    "a chunk without its end": request(headers=CHUNKED, body=b"1\r\nab\r\n0\r\n\r\n" + SMUGGLED),
    "chunks in HTTP/1.0": b"POST /public HTTP/1.0\r\nhost: a\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a line break in a header": request(headers=b"x-a: b\rtransfer-encoding: chunked\r\n", body=SMUGGLED),
    "a zero byte": request(headers=b"x-a: b\x00c\r\n"),
    "a zero byte in a name": request(headers=b"x-a\x00b: c\r\n"),
    "no name": request(headers=b": c\r\n"),
    "no colon": request(headers=b"x-a\r\n"),
    "two hosts": request(headers=b"host: b\r\n"),
    "no host": b"GET /public HTTP/1.1\r\n\r\n",
    "an older HTTP": b"GET /public\r\n\r\n",
    "another protocol": b"GET /public HTTP/1.1 HTTP/1.1\r\nhost: a\r\n\r\n",
    "a fragment": request(b"/public#/private"),
    "an escaped slash": request(b"/public/..%2fprivate"),
    "an escaped backslash": request(b"/public/..%5cprivate"),
    "a zero byte in a path": request(b"/public/%00"),
    "above the root": request(b"/../../public"),
}


@pytest.mark.parametrize("data", BAD_FRAMING.values(), ids=BAD_FRAMING)
def test_odd_requests(scene: Scene, data: bytes) -> None:
    """Whatever the listener makes of them, the backend gets at most one message that no two readers take apart
    differently, and never what was hidden in it."""
    before, whole = len(scene.backend.requests), len(scene.backend.bodies)
    statuses = scene.send(data)
    forwarded = scene.backend.requests[before:]
    assert len(forwarded) <= 1
    assert len(scene.backend.bodies) - whole == statuses.count(b"200")
    assert all(status in (b"200", b"400", b"403", b"404", b"501", b"505", b"426") for status in statuses)
    assert not scene.backend.mistakes
    for one in forwarded:
        check_plain(one)


def check_plain(one: object) -> None:
    """One length, one host, and the path that was routed on."""
    headers = [name for name, _ in one.headers]  # type: ignore[attr-defined]  # h11's class is made at run time
    framing = [name for name in headers if name in (b"content-length", b"transfer-encoding")]
    assert len(framing) <= 1
    assert headers.count(b"host") == 1
    assert one.target.startswith(b"/public")  # type: ignore[attr-defined]
    assert b".." not in one.target  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("length and chunks", b"400"),
        ("chunks and length", b"400"),
        ("two lengths", b"400"),
        ("a coding twice", b"501"),
        ("an unknown coding", b"501"),
        ("a space before the colon", b"400"),
        ("two hosts", b"404"),
        ("no host", b"400"),
    ],
)
def test_the_worst_are_refused(scene: Scene, name: str, status: bytes) -> None:
    """Once and no more: the rest of the connection is not read."""
    before = len(scene.backend.requests)
    assert scene.send(BAD_FRAMING[name]) == [status]
    assert len(scene.backend.requests) == before


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/public/../private", PRIVATE),
        (b"/public/%2e%2e/private", PRIVATE),
        (b"/public/.%2E/private", PRIVATE),
        (b"/public\\..\\private", PRIVATE),
        (b"//private", PRIVATE),
        (b"/./private", PRIVATE),
        (b"/%70rivate", PRIVATE),
        (b"http://a/private", PRIVATE),
        (b"http://b/public", b"404"),
    ],
)
def test_paths_mean_the_same_everywhere(scene: Scene, target: bytes, status: bytes) -> None:
    """Another spelling of a path is routed as the path itself; an absolute target decides, not the host beside it."""
    before = len(scene.backend.requests)
    assert scene.send(request(target, headers=b"content-length: 0\r\n")) == [status]
    assert len(scene.backend.requests) == before


def test_a_second_request_is_routed_by_itself(scene: Scene) -> None:
    """Behind a body of no bytes stands a request and nothing hidden."""
    before = len(scene.backend.requests)
    assert scene.send(request(headers=b"content-length: 0\r\n") + SMUGGLED) == [b"200", PRIVATE]
    assert len(scene.backend.requests) == before + 1


def test_connections_to_the_backend_are_the_gateways(scene: Scene) -> None:
    """No upgrade to HTTP/2 behind the gateway's back, and no header that a client may take away."""
    offered = (
        b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade, http2-settings, x-request-id\r\n"
    )
    scene.send(request(headers=offered + b"content-length: 0\r\n"))
    scene.send(request(headers=b"connection: x-request-id\r\ncontent-length: 0\r\n"))
    headers = dict(scene.backend.requests[-1].headers)
    assert b"x-request-id" in headers
    assert all(b"upgrade" not in dict(one.headers) for one in scene.backend.requests)


def test_bounds_of_headers() -> None:
    """431 beyond the count or the size, and not before."""
    with running_scene(HttpRules(max_headers=20, max_header_size=4096)) as scene:
        assert scene.send(request(headers=b"content-length: 0\r\n" + _many(10))) == [b"200"]
        assert scene.send(request(headers=b"content-length: 0\r\n" + _many(30))) == [b"431"]
        assert scene.send(request(headers=b"content-length: 0\r\nx-a: " + b"a" * 5000 + b"\r\n")) == [b"431"]


def _many(count: int) -> bytes:
    return b"".join(b"x-%d: 1\r\n" % number for number in range(count))


def test_underscores(scene: Scene) -> None:
    """Dropped, or the request with them."""
    odd = request(headers=b"x_user_id: root\r\ncontent-length: 0\r\n")
    assert scene.send(odd) == [b"200"]
    assert b"x_user_id" not in dict(scene.backend.requests[-1].headers)
    with running_scene(HttpRules(underscores="reject")) as strict:
        assert strict.send(odd) == [b"400"]


def test_escaped_slashes() -> None:
    """Sent to the path with slashes, which another route takes; or kept as they are."""
    odd = request(b"/public/..%2Fprivate", headers=b"content-length: 0\r\n")
    with running_scene(HttpRules(escaped_slashes="redirect")) as scene:
        assert scene.send(odd) == [b"307"]
        assert not scene.backend.requests
    with running_scene(HttpRules(escaped_slashes="keep")) as scene:
        assert scene.send(odd) == [b"200"]
        assert scene.backend.requests[-1].target == b"/public/..%2Fprivate"


@contextmanager
def behind(proxies: int) -> Iterator[Plane]:
    """An Envoy that trusts so many, with a route that asks who it is and limits by IP."""

    def make(port: int, backend: int) -> Gateway:
        asked = g.route(
            "/",
            authenticate=("platform",),
            authorization=Authorization(client_ips=("192.0.2.0/24",)),
            rate_limits=("per-ip",),
        )
        return g.gateway(
            asked,
            listeners=(g.listener(port, trusted_proxies=proxies),),
            upstreams=(g.upstream(port=backend),),
            identity_providers=(g.jwt_provider(),),
            rate_limits=(g.rate_limit(),),
        )

    with running_plane(make) as plane:
        yield plane


@pytest.mark.parametrize(
    ("proxies", "claimed", "client"),
    [
        (0, "192.0.2.1", "127.0.0.1"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 198.51.100.7", "192.0.2.1"),
    ],
)
def test_the_client_behind_a_proxy(proxies: int, claimed: str, client: str) -> None:
    """What trusted proxies have added counts, for limits, authorization and the log; what stood there before not."""
    with behind(proxies) as plane:
        answer = plane.client.get("/", headers={"x-forwarded-for": claimed, "x-envoy-external-address": "6.6.6.6"})
        assert answer.status_code == 200
        assert client_address(plane.authz.asked[-1].attributes) == client
        entries = plane.limiter.asked[-1].descriptors[0].entries
        assert {entry.key: entry.value for entry in entries}["ip"] == client
        assert plane.envoy.logged(client_ip=client)["status"] == 200


def test_other_claims_of_proxies_do_not_count() -> None:
    """Only the address is theirs to say."""
    with behind(1) as plane:
        claims = {
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-host": "evil",
            "x-real-ip": "6.6.6.6",
            "forwarded": "for=6",
        }
        seen: httpx.Response = plane.client.get("/", headers=claims)
        assert not {"x-forwarded-host", "x-real-ip", "forwarded"} & seen.json()["headers"].keys()
