"""Attacks by form: depth, size, encodings and what is no token at all."""

from __future__ import annotations

import base64
import json

import pytest

from ext_authz.jwt import Verified, verify
from ext_authz.refusals import Reason, Refused
from tests.harness.jose import SigningKey
from tests.harness.jwt_attacks import EC, ED, KEYS, RSA, judge
from tests.harness.tokens import NOW, claims, policy


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("where", ["header", "claims"])
def test_deep_json_is_refused(opening: bytes, where: str) -> None:
    """Nesting is bounded before it is parsed, so no depth costs a stack."""
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    deep = opening * 600 + b"1" + closing * 600
    header, payload = b'{"alg":"RS256","kid":"rsa"', json.dumps(claims()).encode()[:-1]
    if where == "header":
        token = RSA.raw_token(header + b',"x":' + deep + b"}", payload + b"}")
    else:
        token = RSA.raw_token(header + b"}", payload + b',"x":' + deep + b"}")
    assert judge(token) in (Reason.MALFORMED, Reason.TOO_LARGE)


def test_brackets_inside_of_strings_are_not_depth() -> None:
    """The bound counts structure, not text."""
    assert judge(RSA.token(claims(note='[{"\\[{' * 50))) == "accepted"


def test_huge_tokens_are_refused_unread() -> None:
    """64 KB of token, correctly signed."""
    assert judge(RSA.token(claims(note="x" * 65_536))) is Reason.TOO_LARGE
    assert judge("a" * 10_000_000) is Reason.TOO_LARGE


def test_huge_headers_are_refused_unread() -> None:
    """A header beyond its own bound, in a token that is within the other."""
    assert judge(RSA.token(claims(), note="x" * 5000)) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "payload",
    [b'{"sub":"\xff"}', b'{"sub":"\xc0\xaf"}', b'{"sub":"\xed\xa0\x80"}', b'{"sub":"\\ud800"}', b"\xef\xbb\xbf{}"],
    ids=["byte", "overlong", "surrogate", "escaped surrogate", "byte order mark"],
)
def test_text_that_is_not_utf8_is_refused(payload: bytes) -> None:
    """RFC 7519 §3: claims are UTF-8, nothing that merely decodes to something."""
    assert judge(RSA.raw_token(b'{"alg":"RS256","kid":"rsa"}', payload)) is Reason.MALFORMED


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_json_in_another_encoding_is_refused(encoding: str) -> None:
    """A parser that guesses encodings reads what no other reads."""
    payload = json.dumps(claims()).encode(encoding)
    assert judge(RSA.raw_token(b'{"alg":"RS256","kid":"rsa"}', payload)) is Reason.MALFORMED


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"x"', b"1", b"{}x", b"{", b"{'a':1}", b"{}{}"])
def test_claims_are_one_object(payload: bytes) -> None:
    """RFC 7519 §7.2 step 10."""
    assert judge(RSA.raw_token(b'{"alg":"RS256","kid":"rsa"}', payload)) is Reason.MALFORMED


@pytest.mark.parametrize("change", ["=", "==", " ", "\n", "+", "/", "%3D", "\u00e9"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_base64url_is_read_strictly(change: str, part: int) -> None:
    """RFC 7515 §2: no padding, no white space, no other alphabet, in any part."""
    parts = RSA.token(claims()).split(".")
    parts[part] += change
    assert judge(".".join(parts)) is Reason.MALFORMED


def test_a_signature_has_one_spelling() -> None:
    """Unused bits of the last character are zero: else one token would have several names in every cache and list."""
    token = RSA.token(claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    assert base64.urlsafe_b64decode(twin.split(".")[2] + "==") == base64.urlsafe_b64decode(token.split(".")[2] + "==")
    assert judge(twin) is Reason.MALFORMED


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b", "a.b.c.d", "....", ".....", "e30.e30.", ".e30.AA", "{}", b"\xff\x00.a.b"]
)
def test_what_is_no_token_is_refused(token: str | bytes) -> None:
    """RFC 7519 §7.2 steps 1 to 6."""
    assert judge(token) in (Reason.MALFORMED, Reason.ENCRYPTED)


def test_the_json_form_is_refused() -> None:
    """RFC 7519 §1: a JWT is always in compact form."""
    head, payload, signature = RSA.token(claims()).split(".")
    flattened = json.dumps({"protected": head, "payload": payload, "signature": signature})
    assert judge(flattened) is Reason.MALFORMED


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_every_part_is_under_the_signature(key: SigningKey, part: int) -> None:
    """A change of one character anywhere is noticed."""
    parts = key.token(claims()).split(".")
    position = len(parts[part]) // 2
    other = "A" if parts[part][position] != "A" else "B"
    parts[part] = parts[part][:position] + other + parts[part][position + 1 :]
    assert judge(".".join(parts)) != "accepted"


def test_a_refusal_never_quotes_the_token() -> None:
    """What is said of a token ends in logs and answers: nothing of it may be in there."""
    secret = "Zq9" * 20
    for token in (
        RSA.token(claims(sub=secret, iss=secret)),
        RSA.token(claims(), kid=secret),
        f"{secret}.{secret}.AAAA",
    ):
        result = verify(token, KEYS, policy(), now=NOW)
        assert isinstance(result, Refused)
        assert "Zq9" not in result.description


def test_three_arguments_are_enough() -> None:
    """The entry point works without a time: then the system's clock counts."""
    assert isinstance(verify(RSA.token(claims(iat=None, exp=4_000_000_000)), KEYS, policy()), Verified)
    assert isinstance(verify(RSA.token(claims(exp=1_000_000_000)), KEYS, policy()), Refused)
