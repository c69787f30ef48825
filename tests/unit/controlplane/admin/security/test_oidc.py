"""OpenID Connect tokens: only whole, fresh, asymmetric ones for this audience; keys are fetched within bounds."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import jwt
import pytest

from controlplane.admin.security.identity import Credentials, Role, Unprovable
from controlplane.admin.security.issuer_keys import (
    COOL_DOWN_SECONDS,
    FRESH_SECONDS,
    LARGEST_SET,
    STALE_SECONDS,
    IssuerKeys,
    KeysUnavailableError,
    http_fetch,
    read_keys,
)
from controlplane.admin.security.oidc import Issuer, OidcTokens
from tests.harness.jose import jwks, signing_key
from tests.unit.controlplane.admin.security.test_limits import Clock

ISSUER = Issuer(
    issuer="https://id.example",
    audience="gateway-admin",
    role_claim="realm.roles",
    roles={"gw-read": Role.VIEWER, "gw-ops": Role.OPERATOR},
)


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that pass."""
    good = {"iss": ISSUER.issuer, "aud": ISSUER.audience, "sub": "alice", "exp": time.time() + 60}
    members = {**good, "realm": {"roles": ["gw-read", "gw-ops"]}, **changes}
    return {name: value for name, value in members.items() if value is not None}


class Published:
    """What an issuer publishes, and how often it was asked."""

    def __init__(self, document: bytes) -> None:
        self.document: bytes | None = document
        self.asked = 0

    async def __call__(self) -> bytes:
        """What there is, if there is anything."""
        self.asked += 1
        if self.document is None:
            raise KeysUnavailableError("down")
        return self.document


def tokens(published: Published, clock: Clock | None = None) -> OidcTokens:
    """A way in by tokens of what was published."""
    return OidcTokens(ISSUER, IssuerKeys(published, clock=clock or Clock()))


async def test_the_highest_role_of_the_claims_counts() -> None:
    """By a claim inside of a claim, for each kind of key."""
    for algorithm in ("RS256", "PS256", "ES256", "EdDSA"):
        key = signing_key(algorithm)
        found = await tokens(Published(jwks(key.jwk()))).identify(Credentials(bearer=key.token(claims())))
        assert found is not None
        assert (found.name, found.role, found.method) == ("oidc:alice", Role.OPERATOR, "oidc")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"exp": 10**15},
        {"exp": [1]},
        {"aud": "others"},
        {"aud": None},
        {"iss": "https://id.example/"},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 300},
        {"nbf": time.time() + 3600},
    ],
)
async def test_a_claim_that_is_not_right_lets_nobody_in(changes: dict[str, Any]) -> None:
    """One at a time."""
    key = signing_key("ES256")
    way = tokens(Published(jwks(key.jwk())))
    assert await way.identify(Credentials(bearer=key.token(claims(**changes)))) is None


async def test_who_has_no_role_is_known_all_the_same() -> None:
    """So that the answer can be 403."""
    key = signing_key("ES256")
    way = tokens(Published(jwks(key.jwk())))
    for roles in ({"roles": ["other"]}, {}, None, "gw-ops", {"roles": 7}):
        found = await way.identify(Credentials(bearer=key.token(claims(realm=roles))))
        assert found is not None
        assert found.role is None


async def test_forgeries_are_unknown() -> None:
    """No signature, another's, the public key as a secret, one byte changed, and things that are no tokens."""
    key, other = signing_key("ES256"), signing_key("ES256", "k2")
    way = tokens(Published(jwks(key.jwk())))
    good = key.token(claims())
    forged = [
        jwt.encode(claims(), "", algorithm="none", headers={"kid": "k1"}),
        jwt.encode(claims(), "x" * 64, algorithm="HS256", headers={"kid": "k1"}),
        other.token(claims(), kid="k1"),
        good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1],
        "a.b.c",
        "..",
        "",
        good + ".x",
        key.token(claims(), alg="RS256"),
        key.token(claims(), kid=7),
        key.raw_token(b"[" * 3000, b"{}"),
        key.raw_token(b'{"alg": "ES256", "kid": "k1", "x": ' + b"[" * 3000, b"{}"),
        key.raw_token(b'{"alg": "ES256", "kid": "k1"}', b"[" * 3000),
        key.raw_token(b'{"alg": "ES256", "kid": "k1"}', b'{"exp": ' + b"9" * 5000 + b"}"),
        key.raw_token(b'{"alg": ["ES256"], "kid": "k1"}', b"{}"),
        key.raw_token(b"[]", b"[]"),
    ]
    for token in forged:
        assert await way.identify(Credentials(bearer=token)) is None, token
    assert await way.identify(Credentials()) is None


async def test_a_new_key_is_found_and_unknown_ones_do_not_make_a_storm() -> None:
    """One fetch for a kid that is new; no other before the cool-down is over, whatever is asked."""
    old, new = signing_key("ES256"), signing_key("ES256", "k2")
    clock, published = Clock(), Published(jwks(old.jwk()))
    way = tokens(published, clock)
    assert await way.identify(Credentials(bearer=old.token(claims()))) is not None
    published.document = jwks(old.jwk(), new.jwk())
    for _ in range(20):
        assert await way.identify(Credentials(bearer=new.token(claims()))) is None
    assert published.asked == 1
    clock.now += COOL_DOWN_SECONDS
    many = [way.identify(Credentials(bearer=new.token(claims()))) for _ in range(20)]
    assert None not in await asyncio.gather(*many)
    assert published.asked == 2


async def test_an_issuer_that_is_away_is_no_forgery() -> None:
    """Known keys count for a time; then, and before the first, nobody can tell."""
    key = signing_key("ES256")
    clock, published = Clock(), Published(jwks(key.jwk()))
    way = tokens(published, clock)
    good = Credentials(bearer=key.token(claims(exp=time.time() + 60)))
    assert await way.identify(good) is not None
    published.document = None
    clock.now += FRESH_SECONDS + STALE_SECONDS - 1
    assert await way.identify(good) is not None
    clock.now += 2
    with pytest.raises(Unprovable):
        await way.identify(good)


@pytest.mark.parametrize(
    "document", [b"", b"[]", b'{"keys": 1}', b"[" * 100_000, json.dumps({"keys": [{}] * 101}).encode()]
)
def test_what_is_no_key_set(document: bytes) -> None:
    """Is said to be none."""
    with pytest.raises(KeysUnavailableError):
        read_keys(document)


def test_keys_that_cannot_check_signatures_are_left_out() -> None:
    """Secrets, private ones, those for encryption, and rubbish."""
    key = signing_key("ES256").jwk()
    bad: list[Any] = [
        {"kty": "oct", "k": "AAAA"},
        key | {"d": "x"},
        key | {"use": "enc"},
        {"kty": "EC"},
        7,
        key | {"kid": 1},
    ]
    assert list(read_keys(json.dumps({"keys": [*bad, key]}).encode())) == ["k1"]


async def test_keys_are_fetched_within_bounds() -> None:
    """No redirect is followed, nothing but 200 is taken, and no more is read than a set may have."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/moved":
            return httpx.Response(302, headers={"location": "https://elsewhere.example/keys"})
        return httpx.Response(200, content=b"x" * (LARGEST_SET + 1))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        for path in ("moved", "large"):
            with pytest.raises(KeysUnavailableError):
                await http_fetch(client, f"https://id.example/{path}")()
