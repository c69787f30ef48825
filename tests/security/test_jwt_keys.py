"""Attacks by keys: of other issuers, taken back, made for something else, weak or many."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ext_authz.keys import KeySet
from ext_authz.refusals import Reason
from tests.harness.jose import SigningKey, jwks, signing_key
from tests.harness.jwt_attacks import EC, RSA, judge
from tests.harness.tokens import claims, key_set


def test_one_issuers_key_never_proves_another_issuer() -> None:
    """RFC 8725 §3.8: a token of issuer A that names issuer B, with A's kid, against B's keys."""
    mine, theirs = signing_key("RS256", "shared"), signing_key("ES256", "shared")
    assert judge(mine.token(claims()), key_set(theirs)) is Reason.ALGORITHM
    twin = SigningKey("RS256", "shared", signing_key("RS256", "twin").private)
    assert judge(twin.token(claims()), key_set(mine)) is Reason.SIGNATURE


def test_a_removed_key_no_longer_counts() -> None:
    """A token is only as good as the set it is checked with."""
    assert judge(RSA.token(claims()), key_set(RSA)) == "accepted"
    assert judge(RSA.token(claims()), key_set(EC)) is Reason.UNKNOWN_KEY
    assert judge(RSA.token(claims()), KeySet()) is Reason.UNKNOWN_KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": "sig "},
        {"use": 5},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"key_ops": ["verify", "verify"]},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": ["RS256"]},
        {"kty": "oct"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"d": "AQAB"},
        {"e": "AQ"},
        {"e": "Ag"},
        {"e": "AgAAAAE"},
        {"n": "AQAB"},
        {"n": 5},
        {"kid": 5},
        {"kid": "k" * 257},
    ],
    ids=json.dumps,
)
def test_keys_made_for_something_else_verify_nothing(changes: dict[str, Any]) -> None:
    """RFC 7517 §4: wrong ``use``, ``key_ops``, ``alg``, ``kty``, a private key, bad exponents, a tiny modulus."""
    keys = KeySet.from_jwks(jwks(RSA.jwk(**changes)))
    assert not keys.keys
    assert len(keys.skipped) == 1
    assert judge(RSA.token(claims()), keys) is Reason.UNKNOWN_KEY


def test_short_rsa_keys_verify_nothing() -> None:
    """RFC 7518 §3.3: 2048 bits or more."""
    short = signing_key("RS256", "short", 1024)
    assert not key_set(short).keys


def test_points_off_the_curve_verify_nothing() -> None:
    """RFC 8725 §3.4: invalid-curve attacks begin with a point that nobody checked."""
    entry = EC.jwk()
    assert not KeySet.from_jwks(jwks(entry | {"y": entry["x"]})).keys
    assert not KeySet.from_jwks(jwks(entry | {"x": "A" * 43, "y": "A" * 43})).keys
    assert not KeySet.from_jwks(jwks(entry | {"crv": "P-384"})).keys
    assert not KeySet.from_jwks(jwks(entry | {"crv": "secp256k1"})).keys


def test_many_keys_are_no_amplifier() -> None:
    """A token that names no key is tried with a few keys, not with a hundred."""
    many = KeySet.from_jwks(jwks(*(RSA.jwk(kid=f"k{number}") for number in range(9))))
    assert judge(RSA.token(claims(), kid=None), many) is Reason.AMBIGUOUS_KEY
    assert judge(RSA.token(claims(), kid="k3"), many) == "accepted"
