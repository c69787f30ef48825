"""Nothing that proves an identity is ever written anywhere: logs at their loudest, metrics, answers, the disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import grpc

from tests.harness.authz import METHOD, check_request
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ext_authz_process
from tests.harness.idp import Reply, identity_provider
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider

KEY, OTHER = signing_key("ES256", "one"), signing_key("ES256", "two")
API_KEY = "key-that-nobody-may-read"
LONG = {"exp": 4_000_000_000, "iat": 1_700_000_000}


def tokens() -> list[str]:
    """Good, expired, forged, unknown, malformed: every way through the code."""
    good = KEY.token(claims(**LONG))
    return [
        good,
        KEY.token(claims(exp=1)),
        KEY.token(claims(**LONG, aud="x")),
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
        policy = auth_policy(provider, api_key_provider(keys={"ci": hashed}))
        with ext_authz_process(folder, policy, GATEWAY_LOG_LEVEL="DEBUG", GRPC_VERBOSITY="info") as process:
            answers = ask(folder, headers)
            idp.reply = Reply(b"surprise", status=500)
            answers += ask(folder, headers)
            outputs = [b"".join(answers).decode("latin-1"), process.metrics()]
        outputs += [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert 'reason="signature"' in outputs[1]
    assert "keys replaced" in "".join(outputs)
    for secret in (*shown, API_KEY):
        for part in secret.split("."):
            assert len(part) < 8 or all(part not in output for output in outputs), part
