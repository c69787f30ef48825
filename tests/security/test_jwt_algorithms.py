"""Attacks by the algorithm: ``none``, HMAC with what is public, almost good signatures (RFC 8725 §2.1, §3.1)."""

from __future__ import annotations

import base64
import json

import pytest

from ext_authz.keys import KeySet
from ext_authz.refusals import Reason
from tests.harness.jose import SigningKey, b64, jwks
from tests.harness.jwt_attacks import EC, ED, RSA, hmac_token, judge
from tests.harness.tokens import claims, policy

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _pair(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_an_honest_token_is_accepted(key: SigningKey) -> None:
    """The ground that the attacks below stand on: the same token without the attack passes."""
    assert judge(key.token(claims())) == "accepted"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "none ", "", "\u0000none"])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_none_is_no_algorithm(alg: str, signature: str) -> None:
    """RFC 8725 §2.1: an unsigned token is refused however ``none`` is spelt, with and without a signature part."""
    head = b64(json.dumps({"alg": alg, "kid": "rsa"}).encode())
    assert judge(f"{head}.{b64(json.dumps(claims()).encode())}.{signature}") in (Reason.ALGORITHM, Reason.MALFORMED)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_a_public_key_is_no_shared_secret(alg: str, key: SigningKey) -> None:
    """RFC 8725 §2.1: an HMAC made with the public key (PEM, with and without its last newline) is refused."""
    for secret in (key.pem(), key.pem().strip(), json.dumps(key.jwk()).encode()):
        assert judge(hmac_token(secret, alg, kid=key.kid)) is Reason.ALGORITHM


@pytest.mark.parametrize("allowed", ["HS256 RS256", "HS512 EdDSA", "none", "ES256K", "dir", "RS1"])
def test_a_policy_cannot_allow_what_is_unsafe(allowed: str) -> None:
    """No policy can be built that would take an unsigned token, or HMAC beside signatures."""
    with pytest.raises(ValueError, match="algorithms"):
        policy(algorithms=frozenset(allowed.split()))


@pytest.mark.parametrize(("alg", "kid"), [("ES256", "rsa"), ("RS256", "ec"), ("EdDSA", "ec"), ("PS256", "rsa")])
def test_an_algorithm_is_pinned_to_its_key(alg: str, kid: str) -> None:
    """RFC 8725 §3.1: a key verifies only with the algorithm that its kind and its JWK's ``alg`` say."""
    assert judge(RSA.token(claims(), alg=alg, kid=kid)) is Reason.ALGORITHM


def test_an_algorithm_that_the_policy_leaves_out_is_refused() -> None:
    """RFC 8725 §3.1: an honest signature with an algorithm that is not on the list is refused."""
    assert judge(RSA.token(claims()), algorithms=frozenset({"ES256"})) is Reason.ALGORITHM


@pytest.mark.parametrize("alg", ["rs256", "RS256 ", "Rs256"])
def test_algorithm_names_are_case_sensitive(alg: str) -> None:
    """RFC 7515 §4.1.1."""
    assert judge(RSA.token(claims(), alg=alg)) is Reason.ALGORITHM


@pytest.mark.parametrize("alg", [None, 5, True, ["RS256"], {"a": 1}])
def test_alg_has_to_be_a_string(alg: object) -> None:
    """RFC 7515 §4.1.1: ``alg`` missing or of another type."""
    assert judge(RSA.token(claims(), alg=alg)) is Reason.MALFORMED


@pytest.mark.parametrize(
    "signature",
    [
        _pair(0, 0),
        _pair(0, 1),
        _pair(1, 0),
        _pair(1, 1),
        _pair(_ORDER, _ORDER),
        _pair(_ORDER, 1),
        _pair(_ORDER - 1, _ORDER - 1),
        _pair(_ORDER + 1, 1),
        _pair(2**256 - 1, 2**256 - 1),
        b"\x00" * 63,
        b"\x00" * 65,
        b"\x00" * 128,
        b"\x30\x06\x02\x01\x01\x02\x01\x01",
    ],
)
def test_ecdsa_edge_values(signature: bytes) -> None:
    """CVE-2022-21449 and its relatives: r and s zero, one, the order of the curve, DER, wrong lengths."""
    head, payload, _ = EC.token(claims()).split(".")
    assert judge(f"{head}.{payload}.{b64(signature)}") is Reason.SIGNATURE


def test_an_ecdsa_signature_in_der_is_refused() -> None:
    """RFC 7518 §3.4: R and S side by side, 64 octets; a right signature in the wrong form is a wrong signature."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    head, payload, signature = EC.token(claims()).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    assert judge(f"{head}.{payload}.{b64(der)}") is Reason.SIGNATURE


def test_a_malleated_ed25519_signature_is_refused() -> None:
    """RFC 8032 §5.1.7: S has to be below the order of the group, or every signature would have a twin."""
    order = 2**252 + 27742317777372353535851937790883648493
    head, payload, signature = ED.token(claims()).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    twin = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    assert judge(f"{head}.{payload}.{b64(twin)}") is Reason.SIGNATURE


def test_a_pkcs1_signature_is_no_pss_signature() -> None:
    """RS256 and PS256 of one key are two algorithms."""
    free = KeySet.from_jwks(jwks(RSA.jwk(alg=None)))
    assert judge(RSA.token(claims()), free) == "accepted"
    assert judge(RSA.token(claims(), alg="PS256"), free) is Reason.SIGNATURE
