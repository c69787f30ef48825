"""Routes that take the credentials of any of several providers: each may say yes, and none is in another's way."""

from __future__ import annotations

from typing import Any

import pytest

from ext_authz.decision import Allow
from ext_authz.denials import Deny, Unavailable
from servicekit.contracts import Introspection
from tests.harness.jose import signing_key
from tests.harness.ports import free_port
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import auth_policy, jwt_provider
from tests.unit.ext_authz.test_checker import KEY, World, world


def opaque_provider() -> Any:
    """One whose issuer is not there."""
    asked = Introspection(uri=f"http://127.0.0.1:{free_port()}/introspect", client_id="gateway", ttl_seconds=60)
    return jwt_provider(name="opaque", jwks_uri="", algorithms=(), introspection=asked)


@pytest.fixture
def either() -> World:
    """JWTs, and tokens that an issuer is asked about, which is away."""
    return world(auth_policy(jwt_provider(), opaque_provider()))


async def test_a_token_whose_keys_are_there_asks_nobody(either: World) -> None:
    """Its keys have not been fetched yet when it comes."""
    assert isinstance(await either.show(KEY.token(claims())), Allow)


@pytest.mark.parametrize(
    "token", [signing_key("ES256", "another").token(claims()), "not-a-jwt"], ids=["unknown key", "no JWT"]
)
async def test_who_is_away_might_have_said_yes(either: World, token: str) -> None:
    """So what the others refuse is no 401."""
    answer = await either.show(token)
    assert isinstance(answer, Unavailable)
    assert answer.provider == "opaque"


async def test_keys_that_nobody_has_are_in_nobodys_way() -> None:
    """An issuer without keys, and one that is well."""
    asked = world(
        auth_policy(
            jwt_provider(name="down", jwks_uri="https://down.example.com/jwks", issuer="https://down.example.com"),
            jwt_provider(),
        )
    )
    down = signing_key("ES256", "down").token(claims(iss="https://down.example.com"))
    assert isinstance(await asked.show(down), Unavailable)
    assert isinstance(await asked.show(KEY.token(claims())), Allow)
    assert isinstance(await asked.show(signing_key("ES256", "another").token(claims())), Deny)
