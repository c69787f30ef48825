"""Routes that ask for credentials of several providers at once: all count, and the first says who is calling."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from ext_authz.answers import encode, join
from ext_authz.authorization import RequestFacts
from ext_authz.decision import Allow
from ext_authz.denials import Deny
from ext_authz.policy import compile_policy
from servicekit.contracts import Authorize, AuthPolicy, TokenPlace
from tests.harness.jose import signing_key
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider
from tests.unit.ext_authz.test_checker import KEY, World, world

DIGEST = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # SHA-256 of "key"
DEVICE = signing_key("ES256", "device")
DEVICES = "https://devices.example.com"


def device_provider(**changes: Any) -> Any:
    """Tokens of devices, in a header of their own."""
    members: dict[str, Any] = {
        "name": "devices",
        "issuer": DEVICES,
        "jwks_uri": f"{DEVICES}/jwks",
        "token_from": (TokenPlace(kind="header", name="x-device"),),
        "forward_claims": {"sub": "x-user-id", "model": "x-model"},
        "forward_token": False,
        "tier_claim": "tier",
    }
    return jwt_provider(**(members | changes))


def policy(*providers: Any, **rule: Any) -> AuthPolicy:
    """A route that asks for all of them."""
    made = auth_policy(*providers, needs_all=True, **rule)
    return made.model_copy(update={"identity_headers": ("x-machine", "x-model", "x-user-id")})


def both(**rule: Any) -> World:
    """A user's token and a machine's key."""
    return world(policy(jwt_provider(), api_key_provider(keys={"one": DIGEST}), **rule))


async def ask(asked: World, *, token: str | None = None, **headers: str) -> Any:
    """One check with what is shown."""
    shown = headers | ({"authorization": f"Bearer {token}"} if token is not None else {})
    return await asked.ask(**shown)


async def test_both_are_asked() -> None:
    """Neither is enough; of what is missing the answer tells."""
    asked, token = both(), KEY.token(claims())
    only_token = await ask(asked, token=token)
    assert isinstance(only_token, Deny)
    assert (only_token.code, only_token.challenges) == ("missing_credentials", ('ApiKey realm="gateway"',))
    only_key = await ask(asked, x_api_key="key")
    assert isinstance(only_key, Deny)
    assert only_key.challenges == ('Bearer realm="gateway"',)
    wrong = await ask(asked, token=token, x_api_key="wrong")
    assert isinstance(wrong, Deny)
    assert wrong.code == "invalid_api_key"
    assert isinstance(await ask(asked, token=token, x_api_key="key"), Allow)


async def test_the_first_says_who_is_calling() -> None:
    """The headers of all reach the upstream, and none that a client made up."""
    answer = await ask(both(), token=KEY.token(claims()), x_api_key="key")
    assert isinstance(answer, Allow)
    assert (answer.identity.user, answer.identity.api_key) == ("platform:alice", None)
    assert answer.set_headers == {"x-user-id": "alice", "x-machine": "one"}
    assert not set(answer.remove_headers) & set(answer.set_headers)
    assert "x-api-key" in answer.remove_headers


@pytest.mark.parametrize("members", [{"email": "a@example.com"}, {}])
async def test_a_header_of_both_is_the_firsts(members: dict[str, str]) -> None:
    """Also when the first has nothing to say in it: then it is removed."""
    asked = world(policy(jwt_provider(forward_claims={"email": "x-user-id"}), device_provider()))
    asked.publish(DEVICE, uri=f"{DEVICES}/jwks")
    device = DEVICE.token(claims(iss=DEVICES, sub="d1"))
    answer = await ask(asked, token=KEY.token(claims(**members)), x_device=device)
    assert isinstance(answer, Allow)
    assert answer.set_headers.get("x-user-id") == members.get("email")
    assert ("x-user-id" in answer.remove_headers) == (not members)


def test_each_knows_the_headers_that_are_its_own() -> None:
    """What a later one says in a header of the first's is left out."""
    rule = compile_policy(policy(jwt_provider(), device_provider()))[RULE]
    one, other = rule.parts
    assert {check.header for check in one.jwt[0].forward} == {"x-user-id"}
    assert {check.header for check in other.jwt[0].forward} == {"x-model"}
    assert one.identity_headers == {"x-user-id", "x-machine"}
    assert other.identity_headers == {"x-model", "x-machine"}
    assert (one.is_witness, other.is_witness) == (False, True)


async def test_scopes_and_conditions_are_about_the_first() -> None:
    """The second's count for nothing; what is asked of the request is asked once all are there."""
    asked = world(
        policy(
            jwt_provider(),
            device_provider(),
            scopes=("write",),
            authorize=Authorize(roles=("admin",), methods=("GET",)),
        )
    )
    asked.publish(DEVICE, uri=f"{DEVICES}/jwks")
    device = DEVICE.token(claims(iss=DEVICES, scope="write", roles=["admin"]))
    answer = await ask(asked, token=KEY.token(claims()), x_device=device)
    assert isinstance(answer, Deny)
    assert answer.code == "insufficient_scope"
    good = KEY.token(claims(scope="write", roles=["admin"]))
    answer = await ask(asked, token=good, x_device=device)
    assert isinstance(answer, Deny)
    assert answer.reason == "forbidden_method"
    headers = {"authorization": f"Bearer {good}", "x-device": device}
    found = asked.checker.check(RULE, headers, lambda: RequestFacts(method="GET"))
    assert getattr(found, "allowed", False)


async def test_each_ends_when_it_has_to() -> None:
    """One that is remembered does not carry the other over its end, nor over the keys that vouched for it."""
    asked = world(policy(jwt_provider(), device_provider()))
    asked.publish(DEVICE, uri=f"{DEVICES}/jwks")
    token, device = KEY.token(claims()), DEVICE.token(claims(iss=DEVICES, exp=asked.wall.now + 10))
    assert isinstance(await ask(asked, token=token, x_device=device), Allow)
    assert isinstance(await ask(asked, token=token, x_device=device), Allow)
    assert asked.checker.lookups()[0] >= 2
    asked.pass_time(11)
    answer = await ask(asked, token=token, x_device=device)
    assert isinstance(answer, Deny)
    assert answer.reason == "expired"


async def test_as_bytes() -> None:
    """What Envoy reads: headers of both, the identity of the first alone, and every token stripped that has to be."""
    asked = world(policy(jwt_provider(), device_provider()))
    asked.publish(DEVICE, uri=f"{DEVICES}/jwks")
    token = KEY.token(claims(sub="alice"))
    device = DEVICE.token(claims(iss=DEVICES, sub="d1", model="m1", tier="gold", scope="x"))
    answers = []
    for part in compile_policy(policy(jwt_provider(), device_provider()))[RULE].parts:
        found = asked.checker._check_any(
            part, {"authorization": f"Bearer {token}", "x-device": device}, RequestFacts, {}
        )
        if not hasattr(found, "rendered"):
            await ask(asked, token=token, x_device=device)
            found = asked.checker._check_any(
                part, {"authorization": f"Bearer {token}", "x-device": device}, RequestFacts, {}
            )
        answers.append(found.rendered)  # type: ignore[union-attr] # by now there are keys
    response = CheckResponse.FromString(join([encode(answer) for answer in answers]))
    assert dict(response.dynamic_metadata.items()) == {
        "provider": "platform", "user": "platform:alice", "user_id": "alice"
    }  # fmt: skip
    headers = {option.header.key: option.header.value for option in response.ok_response.headers}
    assert headers == {"x-user-id": "alice", "x-model": "m1"}
    removed = set(response.ok_response.headers_to_remove)
    assert "x-device" in removed
    assert not removed & headers.keys()
