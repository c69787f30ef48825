"""Attacks by what a token says of itself: keys and URLs that it brings, names of keys, extensions and types."""

from __future__ import annotations

import base64
import json
import socket

import pytest

from ext_authz.refusals import Reason
from tests.harness.jose import SigningKey, b64, signing_key
from tests.harness.jwt_attacks import RSA, judge
from tests.harness.tokens import claims


@pytest.mark.parametrize("attacker", [signing_key("RS256", "evil"), signing_key("ES256", "evil")], ids=["RSA", "EC"])
@pytest.mark.parametrize("kid", ["rsa", "ec", None])
def test_an_embedded_key_is_not_used(attacker: SigningKey, kid: str | None) -> None:
    """RFC 8725 §3.5: a token that brings the ``jwk`` that verifies it is no better than one without."""
    token = attacker.token(claims(), jwk=attacker.jwk(), kid=kid)
    assert judge(token) in (Reason.SIGNATURE, Reason.ALGORITHM)


@pytest.mark.parametrize("member", ["jku", "x5u"])
def test_no_url_in_a_token_is_ever_called(member: str) -> None:
    """RFC 8725 §3.10: ``jku`` and ``x5u`` at a listener of the test; no connection arrives."""
    attacker = signing_key("RS256", "evil")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks"
        assert judge(attacker.token(claims(), **{member: url, "kid": "rsa"})) is Reason.SIGNATURE
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("member", ["x5c", "x5t", "x5t#S256"])
def test_a_certificate_in_a_token_is_not_used(member: str) -> None:
    """RFC 7515 §4.1.6: a certificate of the attacker's key changes nothing."""
    attacker = signing_key("RS256", "evil")
    certificate = base64.b64encode(attacker.pem()).decode()
    assert judge(attacker.token(claims(), **{member: [certificate], "kid": "rsa"})) is Reason.SIGNATURE


@pytest.mark.parametrize(
    ("kid", "reason"),
    [
        ("../../../../dev/null", Reason.UNKNOWN_KEY),
        ("/proc/self/environ", Reason.UNKNOWN_KEY),
        ("rsa' OR '1'='1", Reason.UNKNOWN_KEY),
        ("rsa\u0000", Reason.UNKNOWN_KEY),
        ("rsa|/usr/bin/id", Reason.UNKNOWN_KEY),
        ("", Reason.UNKNOWN_KEY),
        ("k" * 257, Reason.MALFORMED),
        ("k" * 10_240, Reason.TOO_LARGE),
        (5, Reason.MALFORMED),
        (["rsa"], Reason.MALFORMED),
        ({"kid": "rsa"}, Reason.MALFORMED),
        (True, Reason.MALFORMED),
    ],
)
def test_a_kid_is_only_a_name(kid: object, reason: Reason) -> None:
    """RFC 8725 §3.10: a ``kid`` as path, SQL, command, empty, huge or no string at all only fails to be found."""
    assert judge(RSA.token(claims(), kid=kid)) is reason


@pytest.mark.parametrize("crit", [[], ["b64"], ["exp"], ["x"], "exp", None, [1]])
def test_nothing_critical_is_understood(crit: object) -> None:
    """RFC 7515 §4.1.11: any ``crit`` refuses the token: empty, unknown, naming a registered member, of a wrong type."""
    header = json.dumps({"alg": "RS256", "kid": "rsa", "crit": crit, "exp": 1, "x": 1}).encode()
    assert judge(RSA.raw_token(header, json.dumps(claims()).encode())) is Reason.CRITICAL


@pytest.mark.parametrize("b64_value", [False, True, None, "false"])
def test_unencoded_payloads_are_refused(b64_value: object) -> None:
    """RFC 7797 §7: ``b64`` has no place in a JWT, with or without being declared critical."""
    for extra in ({}, {"crit": ["b64"]}):
        header = json.dumps({"alg": "RS256", "kid": "rsa", "b64": b64_value, **extra}).encode()
        assert judge(RSA.raw_token(header, json.dumps(claims()).encode())) is Reason.CRITICAL


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"RS256","alg":"none","kid":"rsa"}',
        b'{"alg":"none","alg":"RS256","kid":"rsa"}',
        b'{"alg":"RS256","\\u0061lg":"RS256","kid":"rsa"}',
        b'{"alg":"RS256","kid":"x","kid":"rsa"}',
    ],
)
def test_duplicate_header_members_are_refused(header: bytes) -> None:
    """RFC 7515 §4: two readers of one header must not see two headers, escapes included."""
    assert judge(RSA.raw_token(header, json.dumps(claims()).encode())) is Reason.MALFORMED


def test_encrypted_tokens_are_refused() -> None:
    """RFC 7516: five parts, or an ``enc`` in three."""
    header = b64(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
    assert judge(f"{header}.AA.AA.AA.AA") is Reason.ENCRYPTED
    assert judge(RSA.token(claims(), enc="A256GCM")) is Reason.ENCRYPTED


@pytest.mark.parametrize("cty", ["JWT", "jwt", "application/jwt"])
def test_nested_tokens_are_refused(cty: str) -> None:
    """RFC 7519 §5.2: a token inside of a token."""
    assert judge(RSA.token(claims(), cty=cty)) is Reason.ENCRYPTED


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "application/entity-statement+jwt", "JWE"])
def test_tokens_made_for_something_else_are_refused(typ: str) -> None:
    """RFC 8725 §3.11, §3.12: a logout token or a proof of possession is no access token."""
    assert judge(RSA.token(claims(), typ=typ)) is Reason.TYPE


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_access_tokens_are_accepted(typ: str | None) -> None:
    """RFC 9068 §2.1: with and without the prefix, in either case, or untyped."""
    assert judge(RSA.token(claims(), typ=typ)) == "accepted"


def test_a_policy_can_insist_on_a_type() -> None:
    """RFC 8725 §3.11: then an untyped token is refused."""
    only = frozenset({"at+jwt"})
    assert judge(RSA.token(claims(), typ="at+jwt"), types=only) == "accepted"
    assert judge(RSA.token(claims(), typ=None), types=only) is Reason.TYPE
