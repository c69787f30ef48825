"""Properties of the verifier; the attacks on it are in ``tests/security``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.jwt import Verified, verify
from ext_authz.keys import KeySet
from ext_authz.refusals import Refused
from tests.harness.jose import b64, jwks, signing_key
from tests.harness.tokens import NOW, claims, key_set, policy

KEY = signing_key("EdDSA")
KEYS = key_set(KEY)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "crit", "b64", "jwk", "enc"]), JSON)
CLAIMS = st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "jti", "x"]), JSON)


@given(st.text() | st.binary() | st.text(".eyJ09_-").map(str) | st.none() | st.integers())
def test_nothing_makes_it_raise(token: Any) -> None:
    """Any value at all is a plain no."""
    assert isinstance(verify(token, KEYS, policy(), now=NOW), Refused)


@given(HEADERS, CLAIMS)
def test_no_header_and_no_claim_makes_it_raise(header: dict[str, Any], body: dict[str, Any]) -> None:
    """Well-signed tokens with members of any type get an answer."""
    merged = json.dumps(claims() | body).encode()
    token = KEY.raw_token(json.dumps({"alg": "EdDSA", "kid": "k1"} | header).encode(), merged)
    assert isinstance(verify(token, KEYS, policy(), now=NOW), Verified | Refused)


@given(HEADERS, CLAIMS, st.binary(max_size=70))
def test_only_a_key_of_the_set_makes_a_token_good(header: dict[str, Any], body: dict[str, Any], noise: bytes) -> None:
    """The same tokens under any other signature are refused."""
    head = b64(json.dumps({"alg": "EdDSA", "kid": "k1"} | header).encode())
    signed = f"{head}.{b64(json.dumps(claims() | body).encode())}"
    other = signing_key("EdDSA", "other").signature(signed.encode())
    for signature in (noise, other):
        assert isinstance(verify(f"{signed}.{b64(signature)}", KEYS, policy(), now=NOW), Refused)


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed448"]
)
def test_every_algorithm_there_is(algorithm: str) -> None:
    """RFC 7518 §3.1 and RFC 8037 §3.1, by name and by a key without one."""
    key = signing_key(algorithm)
    token = key.token(claims())
    for keys in (key_set(key), KeySet.from_pem(key.pem())):
        assert isinstance(verify(token, keys, policy(algorithms=frozenset({key.algorithm})), now=NOW), Verified)


def test_what_is_verified_is_told() -> None:
    """Claims, the key's name, and the moment when the token ends: ``exp`` plus what is forgiven."""
    result = verify(KEY.token(claims()), KEYS, policy(leeway=30), now=NOW)
    assert result == Verified(claims(), "k1", NOW + 330)


@pytest.mark.parametrize("kind", [str, str.encode])
def test_text_and_octets_are_the_same(kind: Any) -> None:
    """A token may be given as either."""
    assert isinstance(verify(kind(KEY.token(claims())), KEYS, policy(), now=NOW), Verified)


def test_leeway_works_both_ways() -> None:
    """A clock that is a little off is forgiven, by exactly as much as was said."""
    late, early = KEY.token(claims(exp=NOW - 29, iat=None)), KEY.token(claims(nbf=NOW + 30, iat=NOW + 30))
    assert isinstance(verify(late, KEYS, policy(leeway=30), now=NOW), Verified)
    assert isinstance(verify(early, KEYS, policy(leeway=30), now=NOW), Verified)
    assert isinstance(verify(late, KEYS, policy(leeway=29), now=NOW), Refused)
    assert isinstance(verify(early, KEYS, policy(leeway=29), now=NOW), Refused)


@pytest.mark.parametrize("value", [None, "", []])
def test_required_claims_are_there(value: object) -> None:
    """A claim that is empty is not there."""
    body = (
        json.dumps(claims() | {"sub": value}).encode() if value is not None else json.dumps(claims(sub=None)).encode()
    )
    result = verify(KEY.token(body), KEYS, policy(required_claims=("exp", "sub")), now=NOW)
    assert isinstance(result, Refused)


def test_anyone_can_be_allowed_in_so_many_words() -> None:
    """``None`` for issuer and audience means any."""
    free = policy(issuer=None, audiences=None)
    assert isinstance(verify(KEY.token(claims(iss="x", aud=None)), KEYS, free, now=NOW), Verified)


def test_a_token_without_a_kid_is_tried_with_every_key() -> None:
    """RFC 7515 §4.1.4: ``kid`` is a hint."""
    several = KeySet.from_jwks(jwks(signing_key("EdDSA", "other").jwk(), KEY.jwk()))
    assert isinstance(verify(KEY.token(claims(), kid=None), several, policy(), now=NOW), Verified)
