"""Attacks by claims: audiences, times, issuers, and values of other types (RFC 7519 §4.1, RFC 8725 §3.8, §3.9)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ext_authz.refusals import Reason
from tests.harness.jose import signing_key
from tests.harness.jwt_attacks import RSA, judge
from tests.harness.tokens import ISSUER, NOW, claims


@pytest.mark.parametrize("extra", [b'"sub":"mallory"', b'"s\\u0075b":"mallory"', b'"deep":{"a":1,"a":2}'])
def test_duplicate_claims_are_refused(extra: bytes) -> None:
    """RFC 7519 §4: at the top and further down."""
    payload = json.dumps(claims()).encode()[:-1] + b"," + extra + b"}"
    assert judge(RSA.raw_token(b'{"alg":"RS256","kid":"rsa"}', payload)) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("audience", "verdict"),
    [
        ("resumes", "accepted"),
        (["resumes"], "accepted"),
        (["other", "resumes"], "accepted"),
        ("other", Reason.AUDIENCE),
        (["other"], Reason.AUDIENCE),
        ([], Reason.AUDIENCE),
        (None, Reason.AUDIENCE),
        ("resumes,other", Reason.AUDIENCE),
        ("resume", Reason.AUDIENCE),
        ("RESUMES", Reason.AUDIENCE),
        ([["resumes"]], Reason.CLAIMS),
        (["resumes", 5], Reason.CLAIMS),
        ({"resumes": 1}, Reason.CLAIMS),
        (5, Reason.CLAIMS),
    ],
)
def test_audiences(audience: object, verdict: Reason | str) -> None:
    """RFC 7519 §4.1.3, RFC 8725 §3.9: string or array, exact, never by substring, of no other type."""
    assert judge(RSA.token(claims(aud=audience))) == verdict


def test_a_null_audience_is_no_audience() -> None:
    """``null`` is not the absence of a claim."""
    assert judge(RSA.token(json.dumps(claims() | {"aud": None}).encode())) is Reason.CLAIMS


@pytest.mark.parametrize(
    ("expires", "verdict"),
    [
        (b"1800000300", "accepted"),
        (b"1800000000.5", "accepted"),
        (b"1.80000030e9", "accepted"),
        (b"1800000000", Reason.EXPIRED),
        (b"1799999999.999", Reason.EXPIRED),
        (b"0", Reason.EXPIRED),
        (b"-1", Reason.EXPIRED),
        (b'"1800000300"', Reason.CLAIMS),
        (b"true", Reason.CLAIMS),
        (b"[1800000300]", Reason.CLAIMS),
        (b'{"$gt":0}', Reason.CLAIMS),
        (b"null", Reason.CLAIMS),
        (b"1" + b"0" * 400, Reason.CLAIMS),
        (b"1e300", Reason.CLAIMS),
        (b"1e400", Reason.MALFORMED),
        (b"-1e400", Reason.MALFORMED),
        (b"Infinity", Reason.MALFORMED),
        (b"NaN", Reason.MALFORMED),
        (b"1" * 5000, Reason.MALFORMED),
        (b"01800000300", Reason.MALFORMED),
    ],
)
def test_expiry(expires: bytes, verdict: Reason | str) -> None:
    """RFC 7519 §4.1.4: seconds, on or after which the token is refused; nothing that only looks like a number."""
    payload = json.dumps(claims(exp=None)).encode()[:-1] + b',"exp":' + expires + b"}"
    assert judge(RSA.raw_token(b'{"alg":"RS256","kid":"rsa"}', payload)) == verdict


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(
    ("value", "verdict"),
    [(NOW, "accepted"), (NOW + 1, Reason.NOT_YET_VALID), (str(NOW), Reason.CLAIMS), (True, Reason.CLAIMS)],
)
def test_tokens_of_the_future(name: str, value: object, verdict: Reason | str) -> None:
    """RFC 7519 §4.1.5, §4.1.6: not before its time."""
    assert judge(RSA.token(claims(**{name: value}))) == verdict


def test_a_token_without_expiry_is_refused() -> None:
    """``exp`` is required unless a policy says otherwise in so many words."""
    assert judge(RSA.token(claims(exp=None))) is Reason.CLAIMS
    assert judge(RSA.token(claims(exp=None)), required_claims=()) == "accepted"


@pytest.mark.parametrize(
    "issuer", [None, ISSUER + "/", ISSUER.upper(), ISSUER + "\u0000", ISSUER + ".evil.com", "", "https://other"]
)
def test_issuers_are_compared_exactly(issuer: str | None) -> None:
    """RFC 7519 §4.1.1, RFC 8725 §3.8."""
    assert judge(RSA.token(claims(iss=issuer))) is Reason.ISSUER


@pytest.mark.parametrize("name", ["iss", "sub", "jti"])
@pytest.mark.parametrize("value", [5, ["x"], {"a": 1}, True])
def test_string_claims_are_strings(name: str, value: object) -> None:
    """RFC 7519 §4.1.1, §4.1.2, §4.1.7: ``iss``, ``sub`` and ``jti`` of another type."""
    assert judge(RSA.token(claims(**{name: value}))) is Reason.CLAIMS


def test_a_lifetime_can_be_bounded() -> None:
    """A token that was made to last for years, or does not say since when, is refused where that is asked."""
    assert judge(RSA.token(claims(iat=NOW, exp=NOW + 60)), max_lifetime=60) == "accepted"
    assert judge(RSA.token(claims(iat=NOW, exp=NOW + 61)), max_lifetime=60) is Reason.LIFETIME
    assert judge(RSA.token(claims(iat=None)), max_lifetime=600) is Reason.LIFETIME


def test_any_issuer_is_not_any_key() -> None:
    """``issuer: any`` and ``audiences: any`` give up what the token says, never who signed it."""
    open_to_all: dict[str, Any] = {"issuer": None, "audiences": None}
    assert judge(RSA.token(claims(iss="https://elsewhere.example", aud="x")), **open_to_all) == "accepted"
    forged = signing_key("RS256", "evil").token(claims(), kid="rsa")
    assert judge(forged, **open_to_all) is Reason.SIGNATURE
