"""JWK Sets and PEM."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.errors import KeySetError
from ext_authz.keys import KeySet
from tests.harness.jose import jwks, signing_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(["kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y", "d", "k"])
VALUES = JSON | st.sampled_from(["RSA", "EC", "OKP", "oct", "sig", "AQAB", "P-256", "Ed25519", "A" * 43, "A" * 342])


@given(st.lists(st.dictionaries(MEMBERS, VALUES), max_size=3) | JSON)
def test_no_key_set_makes_the_parser_raise_anything_of_its_own(entries: object) -> None:
    """A set of strange keys is a set with fewer keys, or not a set."""
    try:
        key_set = KeySet.from_jwks(json.dumps({"keys": entries}))
    except KeySetError:
        return
    assert isinstance(entries, list)
    assert len(key_set.keys) + len(key_set.skipped) == len(entries)


@given(st.binary(max_size=64) | st.text(max_size=32))
def test_garbage_is_no_key_set(document: bytes | str) -> None:
    """Only one kind of error comes out, for JWKS and PEM."""
    for read in (KeySet.from_jwks, KeySet.from_pem):
        with pytest.raises(KeySetError):
            read(document)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"])
def test_a_key_may_only_be_used_with_what_it_says(algorithm: str) -> None:
    """``alg`` of the JWK pins the key."""
    (key,) = KeySet.from_jwks(jwks(signing_key(algorithm).jwk())).keys
    assert key.algorithms == {algorithm}


@pytest.mark.parametrize(
    ("algorithm", "possible"),
    [
        ("RS256", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("ES256", {"ES256"}),
        ("ES384", {"ES384"}),
        ("ES512", {"ES512"}),
        ("EdDSA", {"EdDSA"}),
        ("Ed448", {"EdDSA"}),
    ],
)
def test_a_key_that_says_nothing_fits_its_kind(algorithm: str, possible: set[str]) -> None:
    """The curve decides for EC (RFC 7518 §3.4); the same from a PEM, which has no name either."""
    key = signing_key(algorithm)
    (from_jwk,) = KeySet.from_jwks(jwks(key.jwk(alg=None))).keys
    (from_pem,) = KeySet.from_pem(key.pem()).keys
    assert from_jwk.algorithms == from_pem.algorithms == possible
    assert from_pem.kid is None


def test_a_key_without_a_name_serves_every_name() -> None:
    """A PEM verifies tokens whatever ``kid`` they carry; a named key only its own."""
    nameless, named = KeySet.from_pem(signing_key("ES256").pem()), KeySet.from_jwks(jwks(signing_key("ES256").jwk()))
    assert nameless.candidates("any", "ES256") == nameless.keys
    assert nameless.knows("any")
    assert named.candidates("any", "ES256") == ()
    assert not named.knows("any")


def test_two_keys_of_one_name_are_told_apart_by_their_kind() -> None:
    """RFC 7517 §4.5 allows equal kids for different kinds."""
    both = KeySet.from_jwks(jwks(signing_key("RS256").jwk(), signing_key("ES256").jwk()))
    (found,) = both.candidates("k1", "ES256")
    assert found.algorithms == {"ES256"}


def test_unknown_kinds_are_ignored() -> None:
    """RFC 7517 §5: the keys that are understood go on working, and what was left out is named."""
    found = KeySet.from_jwks(jwks({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, signing_key("ES256").jwk()))
    assert len(found.keys) == 1
    assert [skipped.position for skipped in found.skipped] == [0]


def test_equal_documents_have_equal_versions() -> None:
    """A refresh that brings the same changes nothing."""
    first, second = jwks(signing_key("ES256").jwk()), jwks(signing_key("RS256").jwk())
    assert KeySet.from_jwks(first).version == KeySet.from_jwks(first).version
    assert KeySet.from_jwks(first).version != KeySet.from_jwks(second).version


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"keys":{}}',
        b'{"keys":null}',
        b"[]",
        b'{"keys":[],"keys":[]}',
        b'{"keys":[' + b"{}," * 100 + b"{}]}",
        b'{"keys":[],"x":"' + b"x" * 262_144 + b'"}',
    ],
    ids=["empty", "object", "null", "array", "twice", "too many", "too large"],
)
def test_what_is_no_key_set(document: bytes) -> None:
    """RFC 7517 §5, and the bounds of count and size."""
    with pytest.raises(KeySetError):
        KeySet.from_jwks(document)
