"""Attacks by HMAC, now that a provider may share a secret: its tokens and those of public keys never meet."""

from __future__ import annotations

import json

import pytest

from ext_authz.errors import KeySetError
from ext_authz.keys import KeySet
from ext_authz.refusals import Reason
from ext_authz.shared_secret import secret_key_set
from tests.harness.jose import SigningKey, b64, jwks
from tests.harness.jwt_attacks import EC, ED, KEYS, RSA, hmac_token, judge
from tests.harness.tokens import claims

SECRET = bytes(range(64))
SHARED = secret_key_set(SECRET, ["HS256", "HS384", "HS512"])
LENGTHS = {"HS256": 32, "HS384": 48, "HS512": 64}


@pytest.mark.parametrize("alg", LENGTHS)
@pytest.mark.parametrize("kid", [None, "rsa", "any"])
def test_an_honest_hmac_is_accepted(alg: str, kid: str | None) -> None:
    """The ground for what follows; a secret has no name, so whatever the token calls it is right."""
    token = hmac_token(SECRET, alg, **({} if kid is None else {"kid": kid}))
    assert judge(token, SHARED, algorithms={alg}) == "accepted"


@pytest.mark.parametrize("alg", LENGTHS)
@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_no_public_key_becomes_a_secret(alg: str, key: SigningKey) -> None:
    """RFC 8725 §2.1: a policy for HMAC finds no key in a JWK Set or a PEM, whatever the token was made with."""
    for keys in (KEYS, KeySet.from_pem(key.pem())):
        for secret in (key.pem(), key.pem().strip(), json.dumps(key.jwk()).encode(), b""):
            assert judge(hmac_token(secret, alg, kid=key.kid), keys, algorithms={alg}) is Reason.ALGORITHM


def test_no_key_set_brings_a_secret() -> None:
    """RFC 7518 §6.4: ``oct`` keys of a JWK Set are passed over; no issuer can publish what it shares."""
    published = KeySet.from_jwks(jwks({"kty": "oct", "k": b64(SECRET), "alg": "HS256"}))
    assert judge(hmac_token(SECRET), published, algorithms={"HS256"}) in (Reason.ALGORITHM, Reason.UNKNOWN_KEY)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_a_secret_verifies_no_signature(key: SigningKey) -> None:
    """Not with the algorithm of the policy, and not with that of the token."""
    assert judge(key.token(claims()), SHARED, algorithms={"HS256"}) is Reason.ALGORITHM
    assert judge(key.token(claims(), alg="HS256"), SHARED, algorithms={"HS256"}) is Reason.SIGNATURE
    assert judge(key.token(claims()), SHARED) is Reason.ALGORITHM


def test_one_algorithm_is_not_another() -> None:
    """A secret that was given for HS512 is not used with HS256, and neither is a policy that names one for another."""
    longest = secret_key_set(SECRET, ["HS512"])
    assert judge(hmac_token(SECRET, "HS256"), longest, algorithms={"HS256", "HS512"}) is Reason.ALGORITHM
    assert judge(hmac_token(SECRET, "HS512"), SHARED, algorithms={"HS256"}) is Reason.ALGORITHM


@pytest.mark.parametrize("wrong", [SECRET[:-1], SECRET + b"\0", SECRET[::-1], b"", SECRET.ljust(128, b"\0") + b"\0"])
def test_another_secret_is_refused(wrong: bytes) -> None:
    """Shorter, longer, turned round, or none."""
    assert judge(hmac_token(wrong), SHARED, algorithms={"HS256"}) is Reason.SIGNATURE


@pytest.mark.parametrize("signature", [b"\0" * 32, b"\0", b"\xff" * 64])
def test_a_made_up_hmac_is_refused(signature: bytes) -> None:
    """Of any length."""
    head, payload, _ = hmac_token(SECRET).split(".")
    assert judge(f"{head}.{payload}.{b64(signature)}", SHARED, algorithms={"HS256"}) is Reason.SIGNATURE


@pytest.mark.parametrize(("alg", "least"), LENGTHS.items())
def test_short_secrets_are_refused(alg: str, least: int) -> None:
    """RFC 7518 §3.2: at least as long as the digest; the longest of the algorithms counts."""
    assert secret_key_set(SECRET[:least], [alg]).keys
    with pytest.raises(KeySetError, match=f"{alg} needs a secret of at least {least} bytes"):
        secret_key_set(SECRET[: least - 1], ["HS256", alg] if least > 32 else [alg])


@pytest.mark.parametrize(
    "text",
    [RSA.pem(), b"\n" + ED.pem(), json.dumps(EC.jwk()).encode(), b"ssh-rsa " + b"A" * 80],
    ids=["rsa", "ed25519", "jwk", "ssh"],
)
def test_what_others_may_know_is_no_secret(text: bytes) -> None:
    """A public key that somebody stored as the secret: RFC 8725 §2.1, made by hand."""
    with pytest.raises(KeySetError, match="no secret") as caught:
        secret_key_set(text, ["HS256"])
    assert text.decode() not in str(caught.value)


@pytest.mark.parametrize("algorithms", [[], ["RS256"], ["HS256", "RS256"], ["none"]])
def test_a_secret_is_for_hmac_alone(algorithms: list[str]) -> None:
    """No key can be made that would verify both."""
    with pytest.raises(KeySetError, match="only"):
        secret_key_set(SECRET, algorithms)


def test_a_secret_is_not_shown() -> None:
    """Not by the set, its key, or the text of any of them."""
    secret = b"correct horse battery staple 1234"
    shown = f"{secret_key_set(secret, ['HS256'])!r} {secret_key_set(secret, ['HS256']).keys[0].material}"
    assert "horse" not in shown


def test_equal_sets_are_told_from_others() -> None:
    """By their versions, which answers that were cached go by."""
    others = [secret_key_set(SECRET, ["HS512"]), secret_key_set(SECRET[:32], ["HS256"]), SHARED]
    assert len({keys.version for keys in others}) == len(others)
    assert secret_key_set(SECRET, ["HS512", "HS256", "HS384"]).version == SHARED.version
