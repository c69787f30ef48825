"""``gateway auth explain``: offline from a document, and against what is live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.command import command, control_plane
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ext_authz_process
from tests.harness.idp import IdentityProvider, identity_provider
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import auth_policy, jwt_provider

KEY, OTHER = signing_key("ES256", "one"), signing_key("ES256", "two")
TOKEN = KEY.token(claims(exp=4_000_000_000, iat=1_700_000_000, scope="read"))


def document(folder: Path, keys_at: str = "https://id.example.com/jwks") -> Path:
    """One route that is open, one behind tokens, one behind tokens in a cookie."""
    file = folder / "gateway.yaml"
    provider = f'issuer: "https://id.example.com", audiences: [resumes], jwks_uri: "{keys_at}"'
    file.write_text(f"""\
listeners: [{{name: http, port: 8000}}]
upstreams: [{{name: resumes, endpoints: ["http://127.0.0.1:8048"]}}]
authentication:
  platform: {{jwt: {{{provider}}}}}
  browsers: {{jwt: {{{provider}, token_from: [{{cookie: session}}]}}}}
routes:
  - {{match: {{path_prefix: /open}}, upstream: resumes}}
  - {{match: {{path_prefix: /web, hosts: ["*.example.com"]}}, upstream: resumes, authenticate: [browsers]}}
  - {{name: api, match: {{path_prefix: /api, methods: [GET]}}, upstream: resumes,
     authenticate: [platform], scopes: [read]}}
""")
    return file


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The issuer's keys as a file."""
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(KEY.jwk()))
    return file


def explain(*words: str, stdin: str | None = None) -> str:
    """What is printed; the token is in none of it."""
    done = command("auth", "explain", *words, stdin=stdin, env={"XDG_CONFIG_HOME": "/nonexistent"})
    assert done.code == 0, done.err
    assert not any(part in done.out + done.err for part in TOKEN.split("."))
    return done.out


def test_offline_the_keys_are_a_file(tmp_path: Path, keys: Path) -> None:
    """The route, each step and the verdict; nothing that runs is needed."""
    file = str(document(tmp_path))
    out = explain("--route", "GET", "/api/x", "--token", TOKEN, "--file", file, "--jwks", str(keys))
    assert out.startswith("GET localhost/api/x: route api, asks for platform (rule platform~")
    assert "ok  signature (platform): made by the key one" in out
    assert out.endswith("allowed as platform:alice, by platform\n")
    assert "undecided" in explain("--route", "GET", "/api/x", "--token", TOKEN, "--file", file)
    assert "no route takes it" in explain("--route", "POST", "/api/x", "--token", TOKEN, "--file", file)
    assert "open to all" in explain("--route", "post", "http://any/open", "--token", TOKEN, "--file", file)


def test_a_token_is_shown_where_the_route_looks_for_it(tmp_path: Path, keys: Path) -> None:
    """In a cookie here; what ``--header`` says besides is there too."""
    words = (
        "--route",
        "GET",
        "https://a.example.com/web",
        "--file",
        str(document(tmp_path)),
        "--jwks",
        f"browsers={keys}",
    )
    assert "allowed" in explain(*words, "--token-stdin", stdin=f"{TOKEN}\n")
    assert "401 invalid_request" in explain(*words, "--token", TOKEN, "--header", f"cookie: session={TOKEN}")
    (tmp_path / "token").write_text(TOKEN)
    found = json.loads(explain(*words, "--token-file", str(tmp_path / "token"), "--output", "json"))
    assert found["verdict"]["allowed"] is True
    assert found["token_in"] == "cookie session"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--token", "x", "--token-stdin"), "one token"),
        (("--header", "x"), "NAME:VALUE"),
        (("--route", "GET", "http://["), "write the URL as"),
        (("--route", "GET", "ftp://a/b"), "write the URL as"),
        (("--jwks", "nobody=KEYS"), "no provider of tokens is called 'nobody'"),
        (("--jwks", "/nonexistent/keys"), "cannot be read"),
        (("--group", "other"), "no node group 'other'"),
        (("--token-file", "/nonexistent/token"), "cannot be read"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_line(
    tmp_path: Path, keys: Path, words: tuple[str, ...], said: str
) -> None:
    """And exits with 1."""
    given = [word.replace("KEYS", str(keys)) for word in words]
    done = command("auth", "explain", "--route", "GET", "/api", "--file", str(document(tmp_path)), *given, stdin="x")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert said in done.err


def test_listeners_without_routes_are_said_so(tmp_path: Path) -> None:
    """Where all listeners pass bytes on or redirect, no route takes anything."""
    file = document(tmp_path)
    listeners = "[{name: http, port: 8000, redirect_to_https: true}, {name: bytes, port: 8001, tcp: resumes}]"
    file.write_text(file.read_text().replace("[{name: http, port: 8000}]", listeners))
    done = command("auth", "explain", "--route", "GET", "/api/x", "--token", TOKEN, "--file", str(file))
    assert done.code != 0
    assert "serves routes" in done.err


def test_what_is_live_is_explained(tmp_path: Path) -> None:
    """With the live document, the provider's keys of now, and what the running ext_authz has of them."""
    with short_folder() as folder, identity_provider() as idp:
        idp.publish(jwks(KEY.jwk()))
        file = document(tmp_path, idp.url)
        with (
            ext_authz_process(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz,
            control_plane(tmp_path, GATEWAY_AUTH_TARGETS=f'["{authz.http}"]', GATEWAY_DOCUMENT=str(file)) as plane,
        ):
            live = ("auth", "explain", "--route", "GET", "/api/x", "--token-stdin")
            said = plane.run(*live, stdin=TOKEN).out
            assert "allowed as platform:alice" in said
            assert f"running: {authz.http} has of platform the keys: one; in use" in said
            _away(idp)
            assert "refused: 503 keys_unavailable" in plane.run(*live, stdin=TOKEN).out
            assert "undecided" in plane.run(*live, "--no-fetch", stdin=TOKEN).out
            assert TOKEN not in plane.log() + authz.output()


def _away(idp: IdentityProvider) -> None:
    idp.stop()
