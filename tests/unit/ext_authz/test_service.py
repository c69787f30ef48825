"""The whole service over a Unix socket: raw CheckRequests in, CheckResponses out."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from ext_authz.checker import Checker
from tests.harness.authz import METHOD, http_status, running_authz
from tests.harness.envoy import short_folder
from tests.harness.idp import IdentityProvider, identity_provider
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider

KEY, OTHER = signing_key("ES256", "one"), signing_key("ES256", "two")
LONG = {"exp": 4_000_000_000, "iat": 1_700_000_000}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for the socket."""
    with short_folder() as path:
        yield path


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    """A provider that publishes one key."""
    with identity_provider() as provider:
        provider.publish(jwks(KEY.jwk()))
        yield provider


def bearer(key: Any = KEY, **changes: Any) -> dict[str, str]:
    """The header with a token of ``key``."""
    return {"authorization": f"Bearer {key.token(claims(**(LONG | changes)))}"}


async def test_yes(folder: Path, idp: IdentityProvider) -> None:
    """Headers are overwritten, others removed, and the identity is dynamic metadata."""
    policy = auth_policy(jwt_provider(jwks_uri=idp.url), api_key_provider())
    async with running_authz(folder, policy) as authz:
        answer = await authz.check(bearer(), RULE)
    assert MessageToDict(answer) == {
        "status": {},
        "okResponse": {
            "headers": [
                {"header": {"key": "x-user-id", "value": "alice"}, "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"}
            ],
            "headersToRemove": ["x-api-key", "x-machine"],
        },
        "dynamicMetadata": {"provider": "platform", "user": "platform:alice", "user_id": "alice"},
    }


async def test_yes_by_api_key(folder: Path) -> None:
    """The id of the key, never the key."""
    policy = auth_policy(api_key_provider(keys={"ci": hashlib.sha256(b"secret-key").hexdigest()}))
    async with running_authz(folder, policy) as authz:
        answer = await authz.check({"x-api-key": "secret-key"}, RULE)
    assert MessageToDict(answer.dynamic_metadata) == {
        "provider": "machines",
        "user": "machines:ci",
        "api_key": "machines:ci",
    }
    assert b"secret-key" not in answer.SerializeToString()


@pytest.mark.parametrize(
    ("headers", "rule", "status", "code", "challenge"),
    [
        ({}, RULE, 401, "missing_credentials", 'Bearer realm="gateway"'),
        ({"authorization": "Bearer x"}, RULE, 401, "invalid_token", 'Bearer realm="gateway", error="invalid_token"'),
        ({"authorization": "Bearer"}, RULE, 401, "invalid_request", 'Bearer realm="gateway", error="invalid_request"'),
        (bearer(exp=1), RULE, 401, "invalid_token", 'error_description="the token has expired"'),
        (bearer(), RULE, 403, "insufficient_scope", 'error="insufficient_scope", scope="admin"'),
        (bearer(), "other~0", 503, "unknown_rule", ""),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
async def test_no(
    folder: Path, idp: IdentityProvider, headers: dict[str, str], rule: str, status: int, code: str, challenge: str
) -> None:
    """A denial that stands on every route: status, problem document, challenge."""
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url), scopes=("admin",))) as authz:
        answer = await authz.check(headers, rule)
    assert answer.WhichOneof("http_response") == "denied_response"
    denied = answer.denied_response
    sent = {header.header.key: header.header.value for header in denied.headers}
    assert denied.status.code == status
    assert sent["content-type"] == "application/problem+json"
    assert challenge in sent.get("www-authenticate", "")
    document = json.loads(denied.body)
    assert (document["status"], document["type"]) == (status, f"urn:gateway:problem:{code}")
    assert answer.status.code != 0


async def test_no_keys_is_an_error_and_no_denial(folder: Path, idp: IdentityProvider) -> None:
    """So that the route's failure policy decides; closed, the client sees 503."""
    idp.stop()
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        answer = await authz.check(bearer(), RULE)
        assert answer.WhichOneof("http_response") == "error_response"
        assert http_status(answer) == 503
        idp.start()
        await authz.until(bearer(), RULE, 200)


async def test_an_answer_comes_before_the_callers_deadline(folder: Path, idp: IdentityProvider) -> None:
    """A provider that hangs costs the client a 503 in time, not a timeout."""
    idp.reply.delay = 30
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        answer = await authz.check(bearer(), RULE, deadline=0.5)
    assert http_status(answer) == 503


@pytest.mark.parametrize("kind", [ValueError, KeyError, AssertionError, RecursionError, MemoryError, StopIteration])
async def test_a_fault_ends_one_check_only(
    folder: Path,
    idp: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[Exception],
) -> None:
    """A bug becomes a gRPC error of that check, counted; the next one is answered. Nothing of the request is said."""
    healthy = Checker.check

    def faulty(self: Checker[bytes], rule_id: str, headers: Any, *rest: Any) -> Any:
        if headers.get("x-bug"):
            raise kind(headers.get("authorization"))
        return healthy(self, rule_id, headers, *rest)

    monkeypatch.setattr(Checker, "check", faulty)
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await authz.check(bearer() | {"x-bug": "1"}, RULE)
        assert refusal.value.code() is grpc.StatusCode.INTERNAL
        assert http_status(await authz.check(bearer(), RULE)) == 200
        assert 'gateway_auth_checks_total{outcome="error",provider="none",reason="internal"} 1.0' in authz.metrics()
    assert "eyJ" not in capsys.readouterr().out + str(refusal.value)


async def test_more_checks_than_can_be_served_are_refused(
    folder: Path, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By gRPC, while those that are served wait for the provider; then all is as before."""
    idp.reply.delay = 30
    monkeypatch.setattr("tests.harness.authz.MAX_CONCURRENT_CHECKS", 2)
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        asked = (authz.check(bearer(), RULE, deadline=5) for _ in range(8))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one.code() for one in answers if isinstance(one, grpc.aio.AioRpcError)]
        assert set(refused) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert {http_status(one) for one in answers if not isinstance(one, BaseException)} == {503}
        assert http_status(await authz.check({}, RULE)) == 401


async def test_octets_that_are_no_request_are_an_error(folder: Path) -> None:
    """Never an answer that Envoy would take for a yes."""
    async with running_authz(folder) as authz:
        call: Any = authz.channel.unary_unary(METHOD)
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"\xff\xff\xff", timeout=5)


async def test_a_rotation_without_a_gap(folder: Path, idp: IdentityProvider) -> None:
    """A new key works with its first token; the one that was taken out stops with the next fetch."""
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        await authz.until(bearer(), RULE, 200)
        idp.publish(jwks(KEY.jwk(), OTHER.jwk()))
        assert http_status(await authz.check(bearer(OTHER), RULE)) == 200
        assert http_status(await authz.check(bearer(KEY), RULE)) == 200
        assert len(idp.calls) == 2


async def test_a_removed_key_stops_by_itself(folder: Path, idp: IdentityProvider) -> None:
    """The background refresh alone does it, for a token that is in the cache."""
    policy = auth_policy(jwt_provider(jwks_uri=idp.url, jwks_ttl_seconds=0.3))
    async with running_authz(folder, policy) as authz:
        await authz.until(bearer(), RULE, 200)
        idp.publish(jwks(OTHER.jwk()))
        await authz.until(bearer(), RULE, 401)
        await authz.until(bearer(OTHER), RULE, 200)


async def test_a_provider_that_dies_and_comes_back(folder: Path, idp: IdentityProvider) -> None:
    """Nothing changes for the stale bound, then 503 and never 401, then by itself 200 again."""
    policy = auth_policy(jwt_provider(jwks_uri=idp.url, jwks_ttl_seconds=0.3, jwks_stale_seconds=0.7))
    async with running_authz(folder, policy) as authz:
        await authz.until(bearer(), RULE, 200)
        idp.stop()
        seen = set()
        while (status := http_status(await authz.check(bearer(), RULE))) == 200:
            seen.add(status)
            await asyncio.sleep(0.01)
        assert status == 503
        idp.start()
        await authz.until(bearer(), RULE, 200)
        assert seen == {200}
        assert 'gateway_auth_key_fetches_total{outcome="failure",provider="platform"}' in authz.metrics()


async def test_a_storm_of_unknown_kids(folder: Path, idp: IdentityProvider) -> None:
    """A thousand at once cost the provider one call, and good tokens nothing."""
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        await authz.until(bearer(), RULE, 200)
        before = len(idp.calls)
        strangers = [f"Bearer {OTHER.token(claims(**LONG), kid=f'k{number}')}" for number in range(1000)]
        bad, good = await asyncio.gather(
            asyncio.gather(*(authz.check({"authorization": token}, RULE, deadline=30) for token in strangers)),
            asyncio.gather(*(authz.check(bearer(jti=str(number)), RULE, deadline=30) for number in range(50))),
        )
        assert {http_status(answer) for answer in bad} <= {401, 503}
        assert {http_status(answer) for answer in good} == {200}
        assert len(idp.calls) == before + 1


async def test_metrics_say_who_and_why(folder: Path, idp: IdentityProvider) -> None:
    """Checks by provider, outcome and reason; time; cache; keys and their age."""
    async with running_authz(folder, auth_policy(jwt_provider(jwks_uri=idp.url))) as authz:
        await authz.until(bearer(), RULE, 200)
        await authz.check(bearer(exp=1), RULE)
        await authz.check({}, RULE)
        page = authz.metrics()
    for line in (
        'gateway_auth_checks_total{outcome="allow",provider="platform",reason="ok"} 1.0',
        'gateway_auth_checks_total{outcome="deny",provider="platform",reason="expired"} 1.0',
        'gateway_auth_checks_total{outcome="deny",provider="none",reason="missing_credentials"} 1.0',
        "gateway_auth_check_duration_seconds_count 3.0",
        'gateway_auth_cache_lookups_total{outcome="hit"}',
        'gateway_auth_cache_entries{outcome="allow"} 1.0',
        'gateway_auth_keys{provider="platform"} 1.0',
        'gateway_auth_key_age_seconds{provider="platform"}',
        'gateway_auth_key_fetches_total{outcome="success",provider="platform"} 1.0',
    ):
        assert line in page


async def test_a_burst_of_a_busy_envoy_is_answered(folder: Path) -> None:
    """Two thousand calls at once on one connection: gRPC itself would end some of them with CANCELLED, by default."""
    async with running_authz(folder, auth_policy(api_key_provider())) as authz:
        answers = await asyncio.gather(*(authz.check({}, RULE, deadline=30) for _ in range(2000)))
    assert {http_status(answer) for answer in answers} == {401}
