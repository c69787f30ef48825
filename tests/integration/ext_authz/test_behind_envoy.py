"""The real process behind a real Envoy, with the policy and the routes that one document became."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
import pytest

from controlplane.model import Authorization, Gateway, HeaderChanges, TokenPlace, Variable
from ext_authz.decision import Allow
from ext_authz.denials import Deny
from gateway.cli.explanation import Question, ask
from servicekit.contracts import AuthPolicy
from tests.harness import gateways as g
from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ExtAuthzProcess, ext_authz_process
from tests.harness.guarded_edge import guarded_edge
from tests.harness.idp import IdentityProvider, Reply, identity_provider
from tests.harness.jose import SigningKey, jwks, signing_key
from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.tokens import claims

KEY = signing_key("RS256", "one")
API_KEY = "key-of-acme"
SHARED = "a secret of more than thirty-two bytes"


def make(port: int, backend: int, keys_at: str) -> Gateway:
    """An open route, one behind a token, one behind a token or an API key."""
    partners = {"acme": hashlib.sha256(API_KEY.encode()).hexdigest()}
    return g.gateway(
        g.route("/open"),
        g.route("/api", authenticate=("platform",)),
        g.route("/either", authenticate=("platform", "partners")),
        g.route(
            "/tiered",
            authenticate=("partners",),
            request_headers=HeaderChanges(set={"x-tier": (Variable(name="tier"),)}),
        ),
        g.route("/both", authenticate=("platform", "partners"), authenticate_all=True),
        g.route("/lost", authenticate=("dead",)),
        g.route("/inline", authenticate=("inline",)),
        g.route("/shared", authenticate=("shared",)),
        g.route("/discovered", authenticate=("discovered",)),
        g.route("/filed", authenticate=("filed",)),
        g.route("/places", authenticate=("places",)),
        g.route(
            "/stripped",
            authenticate=("platform",),
            forward_token=False,
            request_headers=HeaderChanges(
                set={"x-tier": (Variable(name="tier"),), "x-scopes": (Variable(name="scopes"),)}
            ),
        ),
        g.route("/kept", authenticate=("inline", "places"), forward_token=True),
        g.route(
            "/near",
            authenticate=("platform",),
            authorization=Authorization(roles=("admin",), methods=("GET",), client_ips=("127.0.0.0/8",)),
        ),
        g.route(
            "/cel",
            authenticate=("platform", "partners"),
            authorization=Authorization(expression="claims.tenant == 'blue' || request.query == identity.api_key"),
        ),
        g.route("/far", authenticate=("platform",), authorization=Authorization(client_ips=("192.0.2.0/24",))),
        listeners=(g.listener(port),),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(
            g.jwt_provider(jwks_uri=keys_at, tier_claim="account.tier"),
            g.jwt_provider("dead", jwks_uri="http://127.0.0.1:1/jwks"),
            g.jwt_provider("inline", jwks_uri=None, jwks=jwks(KEY.jwk()).decode(), forward_token=False),
            g.jwt_provider("shared", jwks_uri=None, secret="env:GATEWAY_SECRET_ID", algorithms=("HS256",)),
            g.jwt_provider("discovered", jwks_uri=None, discovery=True, issuer=keys_at.removesuffix("/jwks")),
            g.jwt_provider("filed", jwks_uri=None, jwks_file="file:id/keys.pem"),
            g.jwt_provider(
                "places",
                jwks_uri=keys_at,
                token_from=(
                    TokenPlace(kind="header", name="x-token"),
                    TokenPlace(kind="cookie", name="session"),
                    TokenPlace(kind="query", name="access_token"),
                ),
                forward_token=False,
            ),
            g.api_key_provider(keys=partners, tiers={"acme": "gold"}),
        ),
    )


def opened(folder: Path) -> dict[str, str]:
    """What documents may name of this machine."""
    return {"GATEWAY_SECRETS_DIR": str(folder), "GATEWAY_SECRET_ID": SHARED}


@dataclass
class Front:
    """A gateway whose authentication is real."""

    client: httpx.Client
    idp: IdentityProvider
    authz: ExtAuthzProcess
    gateway: Gateway
    secrets: Path


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    """One of everything for all tests here."""
    port = free_port()
    with short_folder() as folder, running_echo() as echo, identity_provider() as idp:
        idp.publish(jwks(KEY.jwk()))
        idp.replies["/.well-known/openid-configuration"] = Reply(
            json.dumps({"issuer": idp.url.removesuffix("/jwks"), "jwks_uri": idp.url}).encode()
        )
        (folder / "id").mkdir()
        (folder / "id" / "keys.pem").write_bytes(KEY.pem())
        gateway = make(port, echo.port, idp.url)
        with guarded_edge(gateway, folder, **opened(folder)) as (client, authz):
            yield Front(client, idp, authz, gateway, folder)


def bearer(key: SigningKey = KEY, **changes: object) -> dict[str, str]:
    """The header with a token that lives long."""
    return {"authorization": f"Bearer {key.token(claims(**({'exp': 4_000_000_000, 'iat': 1_700_000_000} | changes)))}"}


TOKEN = bearer()["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize(
    ("path", "headers", "route", "status"),
    [
        ("/open", {}, "/open", 200),
        ("/nothing", bearer(), None, 404),
        ("/health", {}, "gateway.health", 200),
        ("/api", bearer(), "/api", 200),
        ("//x/..//api", bearer(), "/api", 200),
        ("/api", {}, "/api", 401),
        ("/api", bearer(aud="others"), "/api", 401),
        ("/api", bearer(exp=1_700_000_001), "/api", 401),
        ("/api", bearer(signing_key("RS256", "two")), "/api", 401),
        ("/api", {"x-api-key": API_KEY}, "/api", 401),
        ("/either", {"x-api-key": API_KEY}, "/either", 200),
        ("/both", bearer() | {"x-api-key": API_KEY}, "/both", 200),
        ("/both", bearer(), "/both", 401),
        ("/both", {"x-api-key": API_KEY}, "/both", 401),
        ("/both", bearer() | {"x-api-key": "wrong"}, "/both", 401),
        ("/lost", bearer(), "/lost", 503),
        ("/inline", bearer(), "/inline", 200),
        ("/places?access_token=TOKEN", {}, "/places", 200),
        ("/places?access_token=TOKEN", {"x-token": TOKEN}, "/places", 401),
        ("/near", bearer(roles=["admin"]), "/near", 200),
        ("/near", bearer(roles=["guest"]), "/near", 403),
        ("/far", bearer(), "/far", 403),
        ("/cel", bearer(tenant="blue"), "/cel", 200),
        ("/cel", bearer(tenant="red"), "/cel", 403),
        ("/cel", bearer(), "/cel", 403),
        ("/cel?partners:acme", {"x-api-key": API_KEY}, "/cel", 200),
        ("/cel?partners:other", {"x-api-key": API_KEY}, "/cel", 403),
    ],
)
def test_what_is_explained_is_what_happens(
    front: Front, path: str, headers: dict[str, str], route: str | None, status: int
) -> None:
    """``gateway auth explain`` says of a request what the gateway does with it."""
    target = path.replace("TOKEN", TOKEN)
    question = Question(
        method="GET",
        url=f"http://any{target}",
        headers=headers,
        token=None,
        client_ip="127.0.0.1",
        key_sets={},
        fetch=True,
        group=None,
    )
    told = ask(front.gateway, question)
    assert told.route == route
    port = int(str(front.client.base_url.port))
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:  # httpx would tidy the path
        connection.request("GET", target, headers=headers)
        assert connection.getresponse().status == status
    if isinstance(told.outcome, Allow):
        assert status == 200
    elif told.outcome is not None:
        assert status == (told.outcome.status if isinstance(told.outcome, Deny) else 503)


def test_a_token_becomes_an_identity_header(front: Front) -> None:
    """Whatever the client claimed to be."""
    received = front.client.get("/api", headers=bearer() | {"x-user-id": "mallory", "x-partner": "mallory"})
    assert received.status_code == 200
    assert received.json()["headers"]["x-user-id"] == "alice"
    assert "mallory" not in received.text


def test_both_kinds_of_credentials(front: Front) -> None:
    """The backend learns of both, sees neither the key nor what the client claimed."""
    sent = bearer() | {"x-api-key": API_KEY, "x-user-id": "mallory", "x-partner": "mallory"}
    received = front.client.get("/both", headers=sent).json()["headers"]
    assert (received["x-user-id"], received["x-partner"]) == ("alice", "acme")
    assert "x-api-key" not in received


def test_keys_of_the_document_and_a_token_that_ends_here(front: Front) -> None:
    """No provider is asked, and the backend learns who it is but cannot call others in that name."""
    received = front.client.get("/inline", headers=bearer())
    assert received.status_code == 200
    assert received.json()["headers"]["x-user-id"] == "alice"
    assert "authorization" not in received.json()["headers"]
    assert "authorization" in front.client.get("/api", headers=bearer()).json()["headers"]


def test_a_route_says_whether_the_backend_gets_the_token(front: Front) -> None:
    """Whatever the provider says, and wherever the token stands."""
    assert "authorization" not in front.client.get("/stripped", headers=bearer()).json()["headers"]
    assert "authorization" in front.client.get("/kept", headers=bearer()).json()["headers"]
    assert front.client.get("/kept", headers={"x-token": TOKEN}).json()["headers"]["x-token"] == TOKEN


def test_tier_and_scopes_of_a_token_are_told(front: Front) -> None:
    """As dynamic metadata, of which a route makes headers here; what the client sent by these names is gone."""
    told = bearer(account={"tier": "gold"}, scope="write read")
    received = front.client.get("/stripped", headers=told | {"x-tier": "platinum"}).json()["headers"]
    assert (received["x-tier"], received["x-scopes"]) == ("gold", "read write")
    received = front.client.get("/stripped", headers=bearer(account={"tier": "not a tier"}) | {"x-tier": "x"}).json()
    assert received["headers"]["x-tier"] == ""


def test_the_tier_of_a_key_is_told(front: Front) -> None:
    """As that of a token, whatever the client claims."""
    received = front.client.get("/tiered", headers={"x-api-key": API_KEY, "x-tier": "platinum"}).json()
    assert received["headers"]["x-tier"] == "gold"


def test_a_secret_that_the_document_names(front: Front) -> None:
    """A token with its HMAC passes; one with that of the published key does not, and no key's token passes here."""

    def status(secret: bytes) -> int:
        token = jwt.encode(claims(exp=4_000_000_000, iat=1_700_000_000), secret, algorithm="HS256")
        return front.client.get("/shared", headers={"authorization": f"Bearer {token}"}).status_code

    assert status(SHARED.encode()) == 200
    assert status(b"another secret of more than thirty-two bytes") == 401
    assert front.client.get("/shared", headers=bearer()).status_code == 401


def test_keys_that_the_issuer_tells_of(front: Front) -> None:
    """The document says nothing but who it is."""
    issuer = front.idp.url.removesuffix("/jwks")
    assert front.client.get("/discovered", headers=bearer(iss=issuer)).status_code == 200
    assert front.client.get("/discovered", headers=bearer()).status_code == 401


def test_keys_in_a_file_that_changes(front: Front) -> None:
    """The key of the file opens the route; another file closes it for tokens that were good a moment ago."""
    other = signing_key("ES256", "filed")

    def status(key: SigningKey) -> int:
        return front.client.get("/filed", headers=bearer(key)).status_code

    assert (status(KEY), status(other)) == (200, 401)
    (front.secrets / "id" / "keys.pem").write_bytes(other.pem())
    wait_for(lambda: (status(KEY), status(other)) == (401, 200) or None, seconds=10, what="the other key")


def test_a_token_in_a_cookie(front: Front) -> None:
    """The backend gets every other cookie as it was; HTTP/2 may spread them (RFC 9113 §8.2.3)."""
    together = {"cookie": f"a=1,2; session={TOKEN}; b=2"}
    assert _cookies(front.client.get("/places", headers=together)) == "a=1,2; b=2"
    assert _cookies(front.client.get("/places", headers={"cookie": f"session={TOKEN}"})) is None
    with httpx.Client(base_url=front.client.base_url, http1=False, http2=True) as client:
        apart = [("cookie", "a=1"), ("cookie", f"session={TOKEN}"), ("cookie", "b=2")]
        assert _cookies(client.get("/places", headers=apart)) == "a=1; b=2"


def _cookies(answer: httpx.Response) -> str | None:
    assert answer.status_code == 200, answer.text
    assert answer.json()["headers"]["x-user-id"] == "alice"
    assert TOKEN not in answer.text
    found: str | None = answer.json()["headers"].get("cookie")
    return found


def test_a_token_in_the_query_or_in_a_header_of_its_own(front: Front) -> None:
    """Neither reaches the backend; the rest of the query does."""
    received = front.client.get(f"/places?page=2&access_token={TOKEN}&lang=en%20GB")
    assert received.status_code == 200, received.text
    assert TOKEN not in received.text
    path, _, query = received.json()["path"].partition("?")
    assert (path, sorted(query.split("&"))) == ("/places", ["lang=en%20GB", "page=2"])
    received = front.client.get("/places", headers={"x-token": TOKEN})
    assert received.status_code == 200, received.text
    assert TOKEN not in received.text


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", [("cookie", "session=SEEN"), ("x-token", "SEEN")]),
        ("?access_token=SEEN", [("x-token", "SEEN")]),
        ("?access_token=SEEN&access_token=SEEN", []),
        ("?access_token=SEEN&access%5Ftoken=SEEN", []),
        ("", [("cookie", "session=SEEN"), ("cookie", "session=SEEN")]),
        ("?access_token=SEEN", [("cookie", "a=1"), ("cookie", "session=SEEN"), ("cookie", "b=2")]),
        ("", [("cookie", "session=SEEN; session=other")]),
        ("", [("x-token", "SEEN"), ("x-token", "SEEN")]),
        ("", [("x-token", "SEEN junk")]),
    ],
)
def test_a_token_in_two_places_is_refused(front: Front, query: str, headers: list[tuple[str, str]]) -> None:
    """Nobody guesses which one the backend would believe."""
    shown = [(name, value.replace("SEEN", TOKEN)) for name, value in headers]
    answer = front.client.get("/places" + query.replace("SEEN", TOKEN), headers=shown)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:gateway:problem:invalid_request"


def test_an_api_key_becomes_an_identity_header(front: Front) -> None:
    """The backend learns the key's id and never the key."""
    received = front.client.get("/either", headers={"x-api-key": API_KEY, "x-user-id": "mallory"})
    assert received.status_code == 200
    assert received.json()["headers"]["x-partner"] == "acme"
    assert API_KEY not in received.text
    assert "mallory" not in received.text


def test_a_caller_who_is_known_may_still_not_do_everything(front: Front) -> None:
    """Role, method and the client's address; an address that the client claims for itself counts for nothing."""
    admin = bearer(roles=["admin"])
    assert front.client.get("/near", headers=admin).status_code == 200
    assert front.client.get("/near", headers=bearer(roles=["reader"])).status_code == 403
    assert front.client.post("/near", headers=admin).status_code == 403
    refused = front.client.get("/far", headers=admin | {"x-forwarded-for": "192.0.2.1"})
    assert refused.status_code == 403
    assert "www-authenticate" not in refused.headers
    assert "192.0.2" not in refused.text


def test_a_claim_cannot_split_a_header(front: Front) -> None:
    """Line breaks in a claim arrive encoded."""
    received = front.client.get("/api", headers=bearer(sub="a\r\nx-admin: yes\u00e9"))
    assert received.json()["headers"]["x-user-id"] == "a%0D%0Ax-admin: yes%C3%A9"
    assert "x-admin" not in received.json()["headers"]


@pytest.mark.parametrize(
    ("path", "headers", "status", "code", "challenges"),
    [
        ("/api", {}, 401, "missing_credentials", ['Bearer realm="gateway"']),
        ("/either", {}, 401, "missing_credentials", ['Bearer realm="gateway"', 'ApiKey realm="gateway"']),
        (
            "/api",
            bearer(exp=1_000_000_000),
            401,
            "invalid_token",
            ['Bearer realm="gateway", error="invalid_token", error_description="the token has expired"'],
        ),
        (
            "/lost",
            bearer(),
            503,
            "authentication_unavailable",
            [],
        ),  # Envoy writes it: the route's failure policy decided
        ("/either", {"x-api-key": "wrong"}, 401, "invalid_api_key", ['ApiKey realm="gateway"']),
    ],
    ids=["nothing", "nothing, two ways", "expired", "no keys", "wrong key"],
)
def test_no_is_said_in_a_standard_form(
    front: Front, path: str, headers: dict[str, str], status: int, code: str, challenges: list[str]
) -> None:
    """Status, problem document, media type and challenges as the client sees them."""
    answer = front.client.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:gateway:problem:{code}"
    assert answer.headers.get_list("www-authenticate") == challenges


def test_two_authorization_headers_are_refused(front: Front) -> None:
    """Envoy joins them; nobody guesses which was meant."""
    token = bearer()["authorization"]
    answer = front.client.get("/api", headers=[("authorization", token), ("authorization", token)])
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:gateway:problem:invalid_request"


def test_a_dead_service_is_a_503_and_comes_back(front: Front) -> None:
    """Neither 401 nor 403, and open routes go on. Last, since it replaces the process."""
    front.authz.kill()
    assert front.client.get("/api", headers=bearer()).status_code == 503
    assert front.client.get("/open").status_code == 200
    policy = AuthPolicy.decode(_kept_policy(front))
    with ext_authz_process(front.authz.folder, policy, **opened(front.secrets)):
        wait_for(
            lambda: True if front.client.get("/api", headers=bearer()).status_code == 200 else None,
            seconds=10,
            what="200 again",
        )


def _kept_policy(front: Front) -> bytes:
    from servicekit.xds.last_good import LastGood

    kept = LastGood(front.authz.folder / "state", AuthPolicy.__name__).load()
    assert kept is not None
    return kept.body
