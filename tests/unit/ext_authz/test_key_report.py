"""What ext_authz tells of its keys: enough to recognise each, and nothing that proves anything."""

from __future__ import annotations

import json

import pytest
from jwt import PyJWK

from ext_authz.key_report import report
from ext_authz.key_state import KeyState
from ext_authz.keys import KeySet
from ext_authz.thumbprint import describe_key
from servicekit.contracts.key_report import KeyReport
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import key_source

RFC_7638 = (
    '{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXj'
    "BZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6q"
    "MQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    '","e":"AQAB","alg":"RS256","kid":"2011-04-29"}'
)


def test_thumbprints_are_those_of_the_rfcs() -> None:
    """RFC 7638 §3.1 for RSA, RFC 8037 appendix A.3 for Ed25519."""
    assert describe_key(PyJWK.from_json(RFC_7638).key) == ("RSA", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    edwards = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    (key,) = KeySet.from_jwks(jwks(edwards)).keys
    assert describe_key(key.material) == ("OKP", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")


@pytest.mark.parametrize(("algorithm", "kty"), [("ES256", "EC"), ("ES512", "EC"), ("RS256", "RSA"), ("Ed448", "OKP")])
def test_every_kind_of_key_is_told_by_its_thumbprint(algorithm: str, kty: str) -> None:
    """One key, one thumbprint; another key of the kind has another."""
    one, other = (signing_key(algorithm, kid).private.public_key() for kid in ("one", "two"))
    assert describe_key(one)[0] == kty
    assert describe_key(one) == describe_key(one) != describe_key(other)


def test_a_secret_is_not_even_told_by_its_hash() -> None:
    """A short one could be guessed from it."""
    assert describe_key(b"a shared secret") == ("oct", None)


def test_ages_and_errors_are_told() -> None:
    """While the provider is away: how old the keys are, why there are no newer ones, how long they last."""
    state = KeyState(key_source(ttl=300, stale=3600))
    keys = KeySet.from_jwks(jwks(signing_key("ES256", "one").jwk(), {"kty": "oct", "k": "AAAA"}))
    state.succeeded(keys, 100)
    state.failed("ConnectError: refused", 350)
    (source,) = report([state], 360).sources
    assert (source.age, source.usable, source.usable_for, source.failures) == (260, True, 3640, 1)
    assert source.last_error == "ConnectError: refused"
    assert source.next_refresh == 0
    assert [(key.kid, key.kty, key.algorithms) for key in source.keys] == [("one", "EC", ("ES256",))]
    assert source.skipped == ("key 1: a private or symmetric key",)
    (late,) = report([state], 4001).sources
    assert (late.usable, late.usable_for) == (False, 0)


def test_before_the_first_answer_there_is_nothing_but_the_provider() -> None:
    """No age, and the fetch is due."""
    (source,) = report([KeyState(key_source())], 5).sources
    assert (source.keys, source.age, source.next_refresh, source.usable, source.usable_for) == (
        (),
        None,
        0,
        False,
        None,
    )


def test_keys_of_the_policy_itself_are_never_fetched() -> None:
    """Nor do they grow old."""
    state = KeyState(key_source(given=KeySet.from_jwks(jwks(signing_key("ES256").jwk()))))
    (source,) = report([state], 5).sources
    assert (source.usable, source.age, source.next_refresh, source.usable_for) == (True, None, None, None)


def test_a_newer_service_may_say_more() -> None:
    """Members that are new are passed over, for services are replaced one after the other."""
    written = json.loads(report([KeyState(key_source())], 5).encode())
    written["sources"][0]["new"] = written["new"] = 1
    assert KeyReport.decode(json.dumps(written).encode()) == report([KeyState(key_source())], 5)
