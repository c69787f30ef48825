"""Browsers whose access token is over, behind a real Envoy, with an issuer that takes a second use for theft."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

import httpx
import pytest

from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ExtAuthzProcess
from tests.harness.guarded_edge import gateway_of, guarded_edge
from tests.harness.guides import document_of
from tests.harness.jose import signing_key
from tests.harness.ports import free_port
from tests.harness.token_issuer import TokenIssuer, token_issuer

pytestmark = pytest.mark.timeout(90)

KEY = signing_key("ES256", "one")
SECRET = "s3cret of the gateway+client"


@dataclass
class Front:
    """A gateway, its issuer, and a client without a memory for cookies."""

    client: httpx.Client
    issuer: TokenIssuer
    authz: ExtAuthzProcess

    def get(self, path: str = "/", **cookies: str) -> httpx.Response:
        """A request with these cookies."""
        return self.client.get(path, headers={"cookie": "; ".join(f"{name}={text}" for name, text in cookies.items())})


@contextmanager
def running_front() -> Iterator[Front]:
    """The document of the guide."""
    port = free_port()
    with short_folder() as folder, running_echo() as echo, token_issuer(KEY) as issuer:
        written = document_of("token-refresh.md").replace("port: 8000", f"port: {port}")
        written = written.replace(":8048", f":{echo.port}").replace(":8049", f":{issuer.port}")
        with guarded_edge(gateway_of(written), folder, GATEWAY_SECRET_CLIENT=SECRET) as (client, authz):
            yield Front(client, issuer, authz)


@pytest.fixture
def front() -> Iterator[Front]:
    """One of each."""
    with running_front() as made:
        yield made


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """Name to the whole of each ``Set-Cookie``."""
    return {text.partition("=")[0]: text for text in answer.headers.get_list("set-cookie")}


def value_of(written: str) -> str:
    """What the browser would send back."""
    return written.partition("=")[2].partition(";")[0]


def test_an_expired_token_is_exchanged_once(front: Front) -> None:
    """Fifty requests at once, and late ones: one exchange, all are let in and get the same new cookies."""
    old = front.issuer.access_token(lives=-300)
    front.issuer.delay = 0.3
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: front.get(session=old, renewal="refresh-0", other="1"), range(50)))
    answers.append(front.get(session=old, renewal="refresh-0", other="1"))
    assert {answer.status_code for answer in answers} == {200}
    assert (len(front.issuer.forms), front.issuer.thefts) == (1, 0)
    assert len({str(cookies_of(answer)) for answer in answers}) == 1
    written = cookies_of(answers[0])
    assert written["renewal"] == ("renewal=refresh-1; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax")
    assert written["session"].endswith("; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Lax")
    received = answers[0].json()["headers"]
    assert received["x-user-id"] == "alice"
    assert received["cookie"] == "other=1"
    assert front.issuer.forms == [{"grant_type": "refresh_token", "refresh_token": "refresh-0"}]
    assert unquote(str(front.issuer.authorizations[0])).startswith("Basic ")

    again = front.get(session=value_of(written["session"]), renewal=value_of(written["renewal"]))
    assert again.status_code == 200
    assert not again.headers.get_list("set-cookie")
    assert "cookie" not in again.json()["headers"], "the refresh token is for nobody behind the gateway"
    page = front.authz.metrics()
    assert 'gateway_auth_token_refreshes_total{outcome="success",provider="customers"} 1.0' in page
    told = front.authz.output() + page
    assert not any(secret in told for secret in (old, "refresh-0", "refresh-1", SECRET, value_of(written["session"])))


def test_a_session_cookie_that_the_browser_has_dropped(front: Front) -> None:
    """Only the refresh token is left; a route that forbids refreshing says no and asks nobody."""
    assert front.get("/api", renewal="refresh-0").status_code == 401
    assert not front.issuer.forms
    answer = front.get(renewal="refresh-0")
    assert answer.status_code == 200
    assert set(cookies_of(answer)) == {"session", "renewal"}


def test_what_the_issuer_refuses(front: Front) -> None:
    """401, and nothing is left that would be tried again."""
    answer = front.get(session=front.issuer.access_token(lives=-300), renewal="stolen")
    assert answer.status_code == 401
    assert cookies_of(answer) == {
        name: f"{name}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" for name in ("session", "renewal")
    }
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert front.get(session=front.issuer.access_token(lives=-300), renewal="stolen").status_code == 401
    assert len(front.issuer.forms) == 1, "it was asked before"


def test_an_issuer_that_is_away(front: Front) -> None:
    """503, the cookies stay, and it goes on by itself."""
    old = front.issuer.access_token(lives=-300)
    for status in (500, 401, 302):
        front.issuer.status = status
        answer = front.get(session=old, renewal="refresh-0")
        assert answer.status_code == 503
        assert not cookies_of(answer)
    front.issuer.status = None
    assert front.get(session=old, renewal="refresh-0").status_code == 200


def test_an_issuer_that_is_slow(front: Front) -> None:
    """The request does not wait for ever, and what the issuer gave in the end is for the next one."""
    old = front.issuer.access_token(lives=-300)
    front.issuer.delay = 1.5
    assert front.get(session=old, renewal="refresh-0").status_code == 503
    front.issuer.delay = 0
    statuses = {front.get(session=old, renewal="refresh-0").status_code for _ in range(3)}
    assert statuses == {200}
    assert front.issuer.thefts == 0


def test_the_new_token_passes_every_check(front: Front) -> None:
    """One without the route's scope is a 403, which still brings the new cookies: the old ones are used up."""
    answer = front.get("/orders", session=front.issuer.access_token(lives=-300), renewal="refresh-0")
    assert answer.status_code == 403
    assert value_of(cookies_of(answer)["renewal"]) == "refresh-1"
    front.issuer.claims = {"aud": "others"}
    answer = front.get(renewal="refresh-1")
    assert answer.status_code == 401
    assert value_of(cookies_of(answer)["renewal"]) == "refresh-2"


def test_what_is_never_exchanged(front: Front) -> None:
    """A forged token, one for others, two refresh tokens, one that no cookie holds; nor one of a header."""
    forged = signing_key("ES256", "one").token({"sub": "alice"})
    old = front.issuer.access_token(lives=-300)
    for cookies in (
        {"session": forged, "renewal": "refresh-0"},
        {"session": front.issuer.access_token(aud="others"), "renewal": "refresh-0"},
        {"session": old, "renewal": "refresh-0; renewal=refresh-0"},
        {"session": old, "renewal": '"refresh-0"'},
        {"session": old, "renewal": ""},
        {"session": old},
    ):
        assert front.get(**cookies).status_code == 401, cookies
    assert not front.issuer.forms
