"""Kept answers, seen with the document of the guide in a real Envoy with the real cache."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import grpc
import httpx
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from tests.harness.decisions import Authz, serving
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import Envoy, short_folder
from tests.harness.guides import running_guide
from tests.harness.processes import wait_for
from tests.harness.response_cache_process import ResponseCacheProcess, response_cache_process

pytestmark = pytest.mark.xdist_group("caching")

_NUMBERS = count()
FRESH = {"cache-control": "max-age=60"}


class _WhoSays(Authz):
    """Everybody is who their token says, and nobody may come."""

    def Check(self, request: Any, context: Any) -> CheckResponse:  # noqa: N802 - the service's name
        user = request.attributes.request.http.headers.get("authorization", "")
        if user == "nobody":
            return CheckResponse(status={"code": grpc.StatusCode.PERMISSION_DENIED.value[0]}, denied_response={})
        answer = CheckResponse(ok_response={})
        answer.dynamic_metadata["user"] = user
        return answer


@dataclass(frozen=True, slots=True)
class Scene:
    """A client of the listener, the backend, and the cache."""

    client: httpx.Client
    echo: Echo
    cache: ResponseCacheProcess
    envoy: Envoy

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One GET; ``_`` in a header's name is a dash."""
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def asked(self, path: str) -> int:
        """How many requests for ``path`` the backend has seen."""
        return sum(request["path"] == path for request in self.echo.requests)


@contextmanager
def scenery() -> Iterator[Scene]:
    """Everything, with room for 1 MiB of answers."""
    with short_folder() as folder, running_echo() as echo:
        told = {"ext_authz_address": f"unix:{folder}/ext_authz.sock"}
        with (
            response_cache_process(folder, GATEWAY_RESPONSE_CACHE_MEMORY=str(1 << 20)) as cache,
            serving(folder, authz=_WhoSays()),
            running_guide("caching.md", {8048: echo.port}, response_cache_address=cache.address, **told) as running,
        ):
            envoy, client = running
            yield Scene(client, echo, cache, envoy)


@pytest.fixture(scope="module")
def shared() -> Iterator[Scene]:
    """One of everything for all tests here."""
    with scenery() as scene:
        yield scene


@pytest.fixture
def scene(shared: Scene) -> Scene:
    """With a backend that nobody has told anything yet, and no cookies of it."""
    shared.client.cookies.clear()
    shared.echo.extra, shared.echo.status = {}, 200
    shared.echo.body, shared.echo.chunked = None, False
    return shared


def path(prefix: str = "/") -> str:
    """One that nobody has asked for."""
    return f"{prefix.rstrip('/')}/{next(_NUMBERS)}"


def status(answer: httpx.Response) -> str:
    """What the cache says of it, without numbers of seconds."""
    return re.sub(r"; ttl=-?\d+", "", answer.headers["cache-status"])


def test_kept_answers(scene: Scene) -> None:
    """The second one is the first one, and older; HEAD has its headers."""
    url, scene.echo.extra = path(), FRESH | {"etag": '"a"', "x-own": "1"}
    first, second = scene.get(url), scene.get(url)
    assert (status(first), status(second)) == ("gateway; fwd=uri-miss; stored", "gateway; hit")
    assert "age" not in first.headers
    assert 0 <= int(second.headers["age"]) <= 10
    assert re.search(r"ttl=(5\d|60)$", second.headers["cache-status"])
    assert second.content == first.content
    assert {name: second.headers[name] for name in ("date", "etag", "x-own", "content-type", "content-length")} == {
        name: first.headers[name] for name in ("date", "etag", "x-own", "content-type", "content-length")
    }
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    head = scene.client.head(url)
    assert (status(head), head.headers["content-length"], head.content) == (
        "gateway; hit",
        first.headers["content-length"],
        b"",
    )
    assert scene.asked(url) == 1


def test_the_query_is_part_of_it(scene: Scene) -> None:
    """Another query is another answer."""
    url, scene.echo.extra = path(), FRESH
    scene.get(url)
    assert status(scene.get(f"{url}?page=2")) == "gateway; fwd=uri-miss; stored"
    assert status(scene.get(f"{url}?page=2")) == "gateway; hit"


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({}, "no-lifetime"),
        ({"cache-control": "no-store, max-age=60"}, "no-store"),
        ({"cache-control": "private, max-age=60"}, "private"),
        ({"cache-control": 'max-age=60, no-cache="x"'}, "no-cache"),
        ({"cache-control": "max-age=60, s-maxage=0"}, "no-lifetime"),
        ({"cache-control": "max-age=60", "age": "60"}, "too-old"),
        ({"cache-control": "max-age=60", "set-cookie": "session=1"}, "set-cookie"),
        ({"cache-control": "max-age=60", "vary": "accept, *"}, "vary"),
        ({"expires": "0"}, "no-lifetime"),
    ],
)
def test_what_upstreams_do_not_allow(scene: Scene, extra: dict[str, str], reason: str) -> None:
    """It is not kept, and the client is told why."""
    url, scene.echo.extra = path(), extra
    for _ in range(2):
        assert status(scene.get(url)) == f"gateway; fwd=uri-miss; detail={reason}"
        scene.client.cookies.clear()
    assert scene.asked(url) == 2


def test_the_default_ttl(scene: Scene) -> None:
    """A route may keep what says nothing, but for errors, and its upstream may still forbid it."""
    url = path("/catalogue")
    scene.get(url)
    second = scene.get(url)
    assert status(second) == "gateway; hit"
    assert re.search(r"ttl=(5\d|60)$", second.headers["cache-status"])
    scene.echo.extra = {"cache-control": "no-store"}
    assert status(scene.get(path("/catalogue"))) == "gateway; fwd=uri-miss; detail=no-store"
    scene.echo.extra, scene.echo.status = {}, 404
    assert status(scene.get(path("/catalogue"))) == "gateway; fwd=uri-miss; detail=no-lifetime"


def test_kept_errors(scene: Scene) -> None:
    """An error that says for how long is kept, in its own words."""
    url, scene.echo.extra, scene.echo.status, scene.echo.body = path(), FRESH, 404, b"no such thing"
    assert [scene.get(url).status_code, scene.get(url).text] == [404, "no such thing"]
    assert status(scene.get(url)) == "gateway; hit"


def test_an_answer_that_is_over(scene: Scene) -> None:
    """It is asked for again."""
    url, scene.echo.extra = path(), {"cache-control": "max-age=1"}
    scene.get(url)
    again = wait_for(
        lambda: answer if status(answer := scene.get(url)) != "gateway; hit" else None, seconds=10, what="it is over"
    )
    assert status(again) == "gateway; fwd=uri-miss; stored"


def test_variants(scene: Scene) -> None:
    """Each language is kept by itself."""
    url, scene.echo.extra = path(), FRESH | {"vary": "Accept-Language"}
    assert status(scene.get(url, accept_language="de")) == "gateway; fwd=uri-miss; stored"
    assert status(scene.get(url, accept_language="en")) == "gateway; fwd=vary-miss; stored"
    for language in ("de", "en"):
        answer = scene.get(url, accept_language=language)
        assert status(answer) == "gateway; hit"
        assert answer.json()["headers"]["accept-language"] == language
    assert scene.asked(url) == 2


@pytest.mark.parametrize("name", ["authorization", "cookie", "x_api_key"])
def test_credentials_pass_by(scene: Scene, name: str) -> None:
    """Neither is their answer kept, nor do they get a kept one, though the upstream calls it public."""
    url, scene.echo.extra = path(), {"cache-control": "public, max-age=60"}
    assert status(scene.get(url, **{name: "alice"})) == "gateway; fwd=bypass; detail=credentials"
    assert status(scene.get(url)) == "gateway; fwd=uri-miss; stored"
    assert status(scene.get(url, **{name: "alice"})) == "gateway; fwd=bypass; detail=credentials"


def test_each_caller(scene: Scene) -> None:
    """What is kept for one caller is not for another."""
    url, scene.echo.extra = path("/account"), FRESH
    for caller in ("alice", "bob"):
        assert status(scene.get(url, authorization=caller)) == "gateway; fwd=uri-miss; stored"
    for caller in ("alice", "bob"):
        answer = scene.get(url, authorization=caller)
        assert (status(answer), answer.json()["headers"]["authorization"]) == ("gateway; hit", caller)
    assert status(scene.get(url, authorization="alice", cookie="session=2")) == "gateway; fwd=uri-miss; stored"
    assert scene.asked(url) == 3


def test_all_callers(scene: Scene) -> None:
    """Where the route says so, what one has asked for the other gets."""
    url, scene.echo.extra = path("/news"), FRESH
    assert status(scene.get(url, authorization="alice")) == "gateway; fwd=uri-miss; stored"
    assert status(scene.get(url, authorization="bob", cookie="a=b")) == "gateway; hit"


def test_refused_callers_get_nothing_kept(scene: Scene) -> None:
    """Who is not let through learns nothing of the cache."""
    url, scene.echo.extra = path("/news"), FRESH
    scene.get(url, authorization="alice")
    before = scene.cache.metric("gateway_cache_requests_total")
    answer = scene.get(url, authorization="nobody")
    assert (answer.status_code, "cache-status" in answer.headers) == (403, False)
    assert scene.cache.metric("gateway_cache_requests_total") == before


def test_what_a_client_has(scene: Scene) -> None:
    """304 from memory; and the upstream is asked for the whole of what it should not have sent."""
    url, scene.echo.extra = path(), FRESH | {"etag": 'W/"a"', "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT"}
    first = scene.get(url, if_none_match='"a"')
    assert first.status_code == 200
    assert "if-none-match" not in scene.echo.requests[-1]["headers"]
    has_it = scene.get(url, if_none_match='"b", "a"')
    assert (has_it.status_code, has_it.content, has_it.headers["etag"]) == (304, b"", 'W/"a"')
    assert status(has_it) == "gateway; hit"
    assert scene.get(url, if_modified_since="Mon, 23 Nov 2026 10:00:00 GMT").status_code == 304
    assert scene.get(url, if_modified_since="Mon, 23 Nov 2026 09:59:59 GMT").status_code == 200
    assert scene.get(url, if_none_match='"b"').status_code == 200
    assert scene.asked(url) == 1


def test_parts_pass_by(scene: Scene) -> None:
    """A range is the upstream's business."""
    url, scene.echo.extra = path(), FRESH
    assert status(scene.get(url, range="bytes=0-3")) == "gateway; fwd=bypass; detail=request"
    assert status(scene.get(url)) == "gateway; fwd=uri-miss; stored"


@pytest.mark.parametrize("chunked", [False, True])
def test_the_largest_body(scene: Scene, chunked: bool) -> None:
    """What is larger passes whole, and is not kept."""
    scene.echo.extra, scene.echo.chunked = FRESH, chunked
    for size, asked in ((64 << 10, 1), ((64 << 10) + 1, 2), (3 << 20, 2)):
        url, scene.echo.body = path("/catalogue"), b"x" * size
        for _ in range(2):
            assert scene.get(url, accept_encoding="identity").content == scene.echo.body
        assert scene.asked(url) == asked, size


def test_compression_is_done_anew(scene: Scene) -> None:
    """Whoever asks for it, from the one answer that is kept."""
    url, scene.echo.extra, scene.echo.body = path("/catalogue"), FRESH, b"x" * 4096
    plain = scene.get(url, accept_encoding="identity")
    small = scene.get(url, accept_encoding="gzip")
    assert ("content-encoding" in plain.headers, small.headers["content-encoding"]) == (False, "gzip")
    assert (small.content, status(small), scene.asked(url)) == (plain.content, "gateway; hit", 1)


def test_memory_is_bounded(scene: Scene) -> None:
    """What was used longest ago makes room."""
    scene.echo.extra, scene.echo.body = FRESH, b"x" * (60 << 10)
    first = path()
    urls = [first, *(path() for _ in range(30))]
    for url in urls:
        scene.get(url)
        assert status(scene.get(url)) == "gateway; hit"
    assert scene.cache.metric("gateway_cache_bytes") <= 1 << 20
    assert scene.cache.metric("gateway_cache_evicted") >= 10
    assert status(scene.get(urls[-1])) == "gateway; hit"
    assert status(scene.get(first)) == "gateway; fwd=uri-miss; stored"


def test_changes_drop_what_was_kept(scene: Scene) -> None:
    """A POST that succeeds; one that fails does not."""
    url, scene.echo.extra = path(), FRESH
    scene.get(url)
    scene.echo.status = 500
    assert status(scene.client.post(url)) == "gateway; fwd=bypass; detail=method"
    assert status(scene.get(url)) == "gateway; hit"
    scene.echo.status = 200
    scene.client.post(url)
    assert status(scene.get(url)) == "gateway; fwd=uri-miss; stored"


async def _many(scene: Scene, url: str, requests: int) -> list[bytes]:
    port = scene.client.base_url.port or 0

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {url} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer

    return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(requests))), 40)


async def _until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, lambda: condition() or None, seconds=20, what="it has come so far")


async def test_a_thousand_misses_at_once(scene: Scene) -> None:
    """One request reaches the backend, which answers when all are waiting."""
    url, scene.echo.extra = path(), FRESH
    scene.echo.hold.clear()
    asking = asyncio.create_task(_many(scene, url, 1000))
    try:
        await _until(lambda: scene.cache.metric("gateway_cache_waiting") >= 999)
    finally:
        scene.echo.hold.set()
    answers = await asking
    assert {answer[:15] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert sum(b"; collapsed" in answer for answer in answers) == 999
    assert scene.asked(url) == 1


async def test_answers_for_one_only(scene: Scene) -> None:
    """Those who waited for an answer that may not be kept go to the upstream by themselves, all at once."""
    url, scene.echo.extra = path(), {"cache-control": "private"}
    answers = await _many(scene, url, 20)
    assert {answer[:15] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert scene.asked(url) == 20


async def test_a_client_that_goes_away(scene: Scene) -> None:
    """Another one goes in its place; the others wait on."""
    url, scene.echo.extra = path(), FRESH
    scene.echo.hold.clear()
    try:
        _, first = await asyncio.open_connection("127.0.0.1", scene.client.base_url.port or 0)
        first.write(f"GET {url} HTTP/1.1\r\nhost: {scene.client.base_url.netloc.decode()}\r\n\r\n".encode())
        await _until(lambda: scene.asked(url) == 1)
        asking = asyncio.create_task(_many(scene, url, 10))
        await _until(lambda: scene.cache.metric("gateway_cache_waiting") >= 10)
        first.close()
        await _until(lambda: scene.asked(url) == 2)
    finally:
        scene.echo.hold.set()
    assert {answer[:15] for answer in await asking} == {b"HTTP/1.1 200 OK"}
    assert scene.asked(url) == 2


def test_hits_in_the_log(scene: Scene) -> None:
    """The access log says that no upstream was asked."""
    url, scene.echo.extra = path(), FRESH
    for _ in range(2):
        scene.get(url)
    line = scene.envoy.logged(path=url, response_details="gateway_cache_hit")
    assert (line["status"], "upstream_host" in line) == (200, False)


def _over(scene: Scene, url: str, **headers: str) -> httpx.Response:
    """The first answer when what was kept is over, and the upstream fails."""
    return wait_for(
        lambda: answer if "; hit" not in (answer := scene.get(url, **headers)).headers["cache-status"] else None,
        seconds=10,
        what="it is over",
    )


@pytest.mark.parametrize("failure", [500, 502, 503, 504])
def test_an_upstream_that_fails(scene: Scene, failure: int) -> None:
    """The last good answer stands in, as it was, and says so; the upstream is asked each time."""
    url, scene.echo.extra = path("/prices"), {"x-own": "1", "etag": '"a"'}
    good = scene.get(url, origin="https://app.example.com")
    assert good.headers["vary"] == "origin"
    scene.echo.status, scene.echo.body, scene.echo.extra = failure, b"broken", {"x-broken": "1"}
    answer = _over(scene, url, origin="https://app.example.com")
    assert (answer.status_code, answer.content) == (200, good.content)
    assert status(answer) == f"gateway; fwd=stale; fwd-status={failure}; detail=stale-if-error"
    assert int(answer.headers["age"]) >= 1
    assert int(re.findall(r"ttl=(-?\d+)", answer.headers["cache-status"])[0]) <= 0
    same = ("content-type", "date", "x-own", "etag", "access-control-allow-origin")
    assert {name: answer.headers[name] for name in same} == {name: good.headers[name] for name in same}
    assert "x-broken" not in answer.headers
    asked = scene.asked(url)
    again = scene.get(url, origin="https://app.example.com")
    assert status(again) == status(answer)
    assert scene.asked(url) == asked + 1
    scene.echo.status, scene.echo.extra, scene.echo.body = 200, {}, None
    assert status(scene.get(url, origin="https://app.example.com")) == "gateway; fwd=stale; stored"


def test_failures_that_nothing_stands_in_for(scene: Scene) -> None:
    """Where nothing was kept, where the route or the upstream does not allow it, and what is no failure."""
    cases = [
        (path("/"), "max-age=1", 503),
        (path("/prices"), "max-age=1, must-revalidate", 503),
        (path("/prices"), "max-age=1, stale-if-error=0", 503),
        (path("/prices"), "max-age=1", 501),
        (path("/prices"), "max-age=1", 404),
    ]
    for url, directives, _ in cases:
        scene.echo.extra = {"cache-control": directives}
        assert "; stored" in scene.get(url).headers["cache-status"]
    scene.echo.extra = {}
    for url, _, failure in (*cases, (path("/prices"), "", 503)):
        scene.echo.status = failure
        assert _over(scene, url).status_code == failure


def test_how_long_an_answer_stands_in(scene: Scene) -> None:
    """No longer than the upstream allows."""
    url, scene.echo.extra = path("/prices"), {"cache-control": "max-age=1, stale-if-error=1"}
    scene.get(url)
    scene.echo.status = 503
    wait_for(lambda: True if scene.get(url).status_code == 503 else None, seconds=10, what="it is over for good")


async def test_many_while_the_upstream_fails(scene: Scene) -> None:
    """All of them get the one that stands in, and one of them has gone to the upstream for it."""
    url, scene.echo.extra = path("/prices"), {}
    scene.get(url)
    scene.echo.status = 503
    await asyncio.to_thread(_over, scene, url)
    before = scene.asked(url)
    scene.echo.hold.clear()
    asking = asyncio.create_task(_many(scene, url, 20))
    try:
        await _until(lambda: scene.cache.metric("gateway_cache_waiting") >= 19)
    finally:
        scene.echo.hold.set()
    answers = await asking
    assert {answer[:15] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert sum(b"fwd=stale; fwd-status=503; ttl=" in answer for answer in answers) == 20
    assert sum(b"; collapsed; detail=stale-if-error" in answer for answer in answers) == 19
    assert scene.asked(url) == before + 1


def test_an_upstream_that_has_died() -> None:
    """Envoy's own 503 is a failure like others; without anything kept it is told as one."""
    with scenery() as scene:
        url, scene.echo.extra = path("/prices"), {"connection": "close"}
        good = scene.get(url)
        scene.echo.shutdown()
        scene.echo.server_close()
        answer = _over(scene, url)
        assert (answer.status_code, answer.content) == (200, good.content)
        assert status(answer) == "gateway; fwd=stale; fwd-status=503; detail=stale-if-error"
        refused = scene.get(path("/prices"))
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert scene.cache.metric("gateway_cache_requests_total", outcome="stale") >= 1


def test_without_the_cache() -> None:
    """A cache that has died refuses nothing."""
    with scenery() as scene:
        url, scene.echo.extra = path(), FRESH
        scene.get(url)
        assert status(scene.get(url)) == "gateway; hit"
        scene.cache.kill()
        answer = scene.get(url)
        assert (answer.status_code, "cache-status" in answer.headers) == (200, False)
        assert scene.asked(url) == 2
