"""Opaque tokens behind a real Envoy, with an issuer that may be slow, away or of another opinion a moment later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ExtAuthzProcess
from tests.harness.guarded_edge import gateway_of, guarded_edge
from tests.harness.guides import document_of
from tests.harness.jose import signing_key
from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.token_issuer import TokenIssuer, token_issuer

pytestmark = pytest.mark.timeout(90)

KEY = signing_key("ES256", "one")
SECRET = "s3cret of the gateway+client"


@dataclass
class Front:
    """A gateway and its issuer."""

    client: httpx.Client
    issuer: TokenIssuer
    authz: ExtAuthzProcess

    def get(self, token: str, path: str = "/") -> httpx.Response:
        """A request with this token."""
        return self.client.get(path, headers={"authorization": f"Bearer {token}", "x-user-id": "mallory"})

    def give(self, token: str, **members: Any) -> str:
        """An active token."""
        self.issuer.opaque[token] = {"sub": "alice", "aud": "resumes", "exp": int(time.time()) + 300, **members}
        return token


@contextmanager
def running_front() -> Iterator[Front]:
    """The document of the guide."""
    port = free_port()
    with short_folder() as folder, running_echo() as echo, token_issuer(KEY) as issuer:
        written = document_of("opaque-tokens.md").replace("port: 8000", f"port: {port}")
        written = written.replace(":8048", f":{echo.port}").replace(":8049", f":{issuer.port}")
        with guarded_edge(gateway_of(written), folder, GATEWAY_SECRET_CLIENT=SECRET) as (client, authz):
            yield Front(client, issuer, authz)


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    """One of each for all tests here; each has tokens of its own."""
    with running_front() as made:
        yield made


def test_many_requests_and_one_question(front: Front) -> None:
    """Two hundred at once; the backend learns who it is, whatever the client claims."""
    token = front.give("together")
    front.issuer.delay = 0.2
    try:
        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(lambda _: front.get(token), range(200)))
    finally:
        front.issuer.delay = 0
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["headers"]["x-user-id"] == "alice"
    assert front.issuer.asked.count(token) == 1
    assert (front.issuer.authorizations[-1] or "").startswith("Basic ")


@pytest.mark.parametrize(
    ("name", "members", "path", "status", "why"),
    [
        ("no-scope", {}, "/orders", 403, "insufficient_scope"),
        ("scope", {"scope": "orders other"}, "/orders", 200, ""),
        ("others", {"aud": "others"}, "/orders", 401, "another audience"),
        ("no-audience", {"aud": None}, "/orders", 401, "aud"),
        ("nobody", {"sub": ""}, "/orders", 401, "no sub"),
        ("number", {"sub": 7}, "/orders", 401, "sub is not a string"),
        ("over", {"exp": 1_700_000_000}, "/orders", 401, "expired"),
        ("early", {"nbf": 4_000_000_000}, "/orders", 401, "not valid yet"),
    ],
)
def test_what_the_issuer_says_is_checked(
    front: Front, name: str, members: dict[str, Any], path: str, status: int, why: str
) -> None:
    """By the code that checks JWTs."""
    answer = front.get(front.give(name, **members), path)
    assert answer.status_code == status
    assert why in answer.headers.get("www-authenticate", "")


def test_beside_jwts(front: Front) -> None:
    """A JWT of the route's own issuer is verified here, and nobody hears of it."""
    token = front.issuer.access_token()
    assert front.get(token).status_code == 200
    assert token not in front.issuer.asked
    assert front.get("a.b.c").status_code == 401
    assert front.get("nobody-was-given-this").status_code == 401


def test_a_token_that_is_withdrawn(front: Front) -> None:
    """Good until the answer's time is over."""
    token = front.give("withdrawn")
    assert front.get(token).status_code == 200
    del front.issuer.opaque[token]
    assert front.get(token).status_code == 200
    wait_for(lambda: front.get(token).status_code == 401 or None, seconds=5, what="it is refused")


def test_an_issuer_that_is_away(front: Front) -> None:
    """What was asked about goes on; anything else is 503, never 401; it comes back by itself."""
    known, unknown = front.give("known"), front.give("unknown")
    assert front.get(known).status_code == 200
    for status in (500, 401, 302):
        front.issuer.status = status
        assert front.get(known).status_code == 200
        assert front.get(unknown).status_code == 503
    front.issuer.status = None
    assert front.get(unknown).status_code == 200
    front.issuer.delay = 1.5
    try:
        assert front.get(front.give("slow")).status_code == 503
    finally:
        front.issuer.delay = 0
    wait_for(lambda: front.get("slow").status_code == 200 or None, seconds=5, what="the late answer counts")


def test_nothing_of_it_is_written_down(front: Front) -> None:
    """Neither tokens nor the client's secret."""
    token = front.give("s3cret-token-of-somebody")
    assert front.get(token).status_code == 200
    told = front.authz.output() + front.authz.metrics()
    assert 'gateway_auth_introspections_total{outcome="active",provider="partners"}' in told
    assert token not in told
    assert SECRET not in told
