"""Nothing that proves an identity is ever written anywhere: logs at their loudest, metrics, answers, the disk."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest

from tests.harness.authz import METHOD, check_request
from tests.harness.command import command
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ext_authz_process
from tests.harness.gateway_up import GatewayUp, gateway_up
from tests.harness.http_answers import Answered, http_answers
from tests.harness.idp import Reply, identity_provider
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import AUDIENCE, ISSUER, claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider

KEY, OTHER = signing_key("ES256", "one"), signing_key("ES256", "two")
API_KEY = "key-that-nobody-may-read"
ADMIN_PATHS = ("status", "nodes", "auth/keys", "audit", "authentication")
SHARED = "secret-that-an-issuer-shares-with-us"
LONG = {"exp": 4_000_000_000, "iat": 1_700_000_000}


def tokens() -> list[str]:
    """Good, expired, forged, unknown, malformed: every way through the code."""
    good = KEY.token(claims(**LONG))
    return [
        good,
        KEY.token(claims(exp=1)),
        KEY.token(claims(**LONG, aud="x")),
        jwt.encode(claims(**LONG), SHARED, algorithm="HS256"),
        jwt.encode(claims(**LONG), SHARED[::-1], algorithm="HS256"),
        good[:-10] + "AAAAAAAAAA",
        OTHER.token(claims(**LONG)),
        good + ".x",
        "Zm9vYmFyLXNlY3JldC10b2tlbg",
    ]


def ask(folder: Path, secrets: list[dict[str, str]]) -> list[bytes]:
    """The raw answers to requests with these headers, cached ones too."""
    with grpc.insecure_channel(f"unix:{folder / 'ext_authz.sock'}") as channel:
        call: Any = channel.unary_unary(METHOD)
        return [call(check_request(headers, RULE).SerializeToString(), timeout=5) for headers in secrets * 2]


def test_no_secret_is_written_anywhere() -> None:
    """A whole run of the real process, with a provider that breaks in the middle of it."""
    hashed = hashlib.sha256(API_KEY.encode()).hexdigest()
    shown = tokens()
    headers = [{"authorization": f"Bearer {token}"} for token in shown]
    headers += [{"authorization": f"Bearer {shown[0]} {shown[0]}"}, {"authorization": f"Bearer {shown[0]},Bearer x"}]
    headers += [{"x-api-key": API_KEY}, {"x-api-key": API_KEY + "x"}]
    with short_folder() as folder, identity_provider() as idp:
        idp.publish(jwks(KEY.jwk()))
        provider = jwt_provider(jwks_uri=idp.url, jwks_ttl_seconds=0.5, jwks_cooldown_seconds=0.1)
        shared = jwt_provider(name="shared", jwks_uri="", secret="env:GATEWAY_SECRET_ID", algorithms=("HS256",))
        policy = auth_policy(provider, shared, api_key_provider(keys={"ci": hashed}))
        loud = {"GATEWAY_LOG_LEVEL": "DEBUG", "GRPC_VERBOSITY": "info", "GATEWAY_SECRET_ID": SHARED}
        with ext_authz_process(folder, policy, **loud) as process:
            answers = ask(folder, headers)
            report = httpx.get(f"{process.http}/keys", timeout=5).text
            idp.reply = Reply(b"surprise", status=500)
            answers += ask(folder, headers)
            outputs = [b"".join(answers).decode("latin-1"), process.metrics(), report]
        outputs += [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert 'reason="signature"' in outputs[1]
    assert "env:GATEWAY_SECRET_ID" in report
    assert "keys replaced" in "".join(outputs)
    for secret in (*shown, API_KEY, SHARED):
        for part in secret.split("."):
            assert len(part) < 8 or all(part not in output for output in outputs), part


def document(gateway: GatewayUp, keys_at: str) -> str:
    """Tokens in every place, API keys, a provider that is away; the upstream answers nothing of what it got."""
    hashed = hashlib.sha256(API_KEY.encode()).hexdigest()
    provider = f'issuer: "{ISSUER}", audiences: [{AUDIENCE}], jwks_uri: "{keys_at}", jwks_ttl: 1s, algorithms: [ES256]'
    away = provider.replace(keys_at, "http://127.0.0.1:1/jwks")
    places = "[{header: x-token}, {cookie: session}, {query: access_token}]"
    return f"""
listeners: [{{name: http, port: {gateway.port}}}]
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:1"]}}]
authentication:
  platform: {{jwt: {{{provider}, forward_claims: {{sub: x-user-id}}, tier_claim: tier}}}}
  places: {{jwt: {{{provider}, token_from: {places}}}}}
  away: {{jwt: {{{away}}}}}
  shared: {{jwt: {{issuer: "{ISSUER}", audiences: [{AUDIENCE}], secret: "env:GATEWAY_SECRET_ID"}}}}
  machines: {{api_key: {{keys: {{ci: "sha256:{hashed}"}}}}}}
routes:
  - {{match: {{path: /public}}, respond: {{status: 200}}}}
  - {{match: {{path: /places}}, respond: {{status: 200}}, authenticate: [places]}}
  - {{match: {{path: /shared}}, respond: {{status: 200}}, authenticate: [shared]}}
  - {{match: {{path: /away}}, respond: {{status: 200}}, authenticate: [away]}}
  - {{match: {{path_prefix: /}}, respond: {{status: 200}}, authenticate: [platform, machines], scopes: [read]}}
"""


def files_in(folder: Path) -> list[str]:
    """Whatever was written: logs, the history, the last good policies."""
    return [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]


async def show_everywhere(gateway: GatewayUp) -> set[int]:
    """Every token in every place that some route looks at, or might; the statuses that came of it."""
    traced = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    statuses: set[int] = set()
    for token in (*tokens(), KEY.token(claims(**LONG, scope="read", tier="gold"))):
        for path in ("/api", "/away", "/public", "/shared"):
            statuses.add((await gateway.get(path, authorization=f"Bearer {token}", **traced)).status_code)
        for shown in ({"x-token": token}, {"cookie": f"a=b; session={token}"}, {"x-token": f"{token},{token}"}):
            statuses.add((await gateway.get("/places", **shown, **traced)).status_code)
        statuses.add((await gateway.get(f"/places?x=1&access_token={token}", **traced)).status_code)
    for key in (API_KEY, API_KEY + "x"):
        statuses.add((await gateway.get("/api", x_api_key=key, **traced)).status_code)
    return statuses


async def test_no_secret_leaves_a_whole_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes at their loudest: logs, access logs, metrics, spans, the admin API, the disk, the explanation."""
    with identity_provider() as idp, http_answers(lambda _: Answered()) as (collector, asked):
        idp.publish(jwks(KEY.jwk()))
        monkeypatch.setenv("GATEWAY_OTLP_ENDPOINT", collector)
        monkeypatch.setenv("GATEWAY_SECRET_ID", SHARED)
        monkeypatch.setenv("GATEWAY_LOG_LEVEL", "DEBUG")
        monkeypatch.setenv("GATEWAY_STATE_DIR", str(tmp_path / "state"))
        async with gateway_up(tmp_path / "up") as gateway:
            gateway.write(document(gateway, idp.url))
            await gateway.start(path="/public")
            hmac = {"authorization": f"Bearer {jwt.encode(claims(**LONG), SHARED, algorithm='HS256')}"}
            assert (await gateway.get("/shared", **hmac)).status_code == 200
            assert await show_everywhere(gateway) >= {200, 401, 403, 503}

            async def exported() -> bool | None:
                return len(asked) > 0 or None

            await gateway.until(exported, seconds=10, what="spans at the collector")
            outputs = [await gateway.metrics()]
            outputs += [str(await gateway.admin(f"/api/v1/{path}")) for path in ADMIN_PATHS]
            words = ["auth", "explain", "--route", "GET", "/api", "--file", str(gateway.path), "--token"]
            outputs += [(await asyncio.to_thread(command, *words, token)).out for token in tokens()]
        outputs += [one.body.decode() for one in asked]
    outputs += files_in(tmp_path)
    everything = "".join(outputs)
    assert all(word in everything for word in ("gateway_auth_checks_total", '"route":"/places"', "ext_authz check"))
    assert "'kid': 'one'" in everything, "the keys of the running ext_authz are among what was looked at"
    for secret in (*tokens(), API_KEY, SHARED):
        for part in secret.split("."):
            assert len(part) < 8 or part not in everything, part
