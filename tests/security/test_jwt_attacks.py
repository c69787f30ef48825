"""Every published way to make a verifier accept a token that it should not: RFC 8725 §2 and what came after it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from typing import Any

import pytest

from ext_authz.jwt import Verified, verify
from ext_authz.keys import KeySet
from ext_authz.refusals import Reason, Refused
from tests.harness.jose import SigningKey, b64, jwks, signing_key
from tests.harness.tokens import ISSUER, NOW, claims, key_set, policy

RSA = signing_key("RS256", "rsa")
EC = signing_key("ES256", "ec")
ED = signing_key("EdDSA", "ed")
KEYS = key_set(RSA, EC, ED)


def judge(token: str | bytes, keys: KeySet = KEYS, **changes: Any) -> Reason | str:
    """The reason of a refusal, or ``accepted``."""
    result = verify(token, keys, policy(**changes), now=NOW)
    return result.reason if isinstance(result, Refused) else "accepted"


def hmac_token(secret: bytes, alg: str = "HS256", **header: Any) -> str:
    """A token that is authenticated with a public key as its secret."""
    signed = f"{b64(json.dumps({'alg': alg, **header}).encode())}.{b64(json.dumps(claims()).encode())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), digest).digest())}"


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


@pytest.mark.parametrize("allowed", ["HS256", "none", "ES256K", "dir", "RS1"])
def test_a_policy_cannot_allow_what_is_unsafe(allowed: str) -> None:
    """No policy can be built that would take a symmetric algorithm, or none."""
    with pytest.raises(ValueError, match="algorithms"):
        policy(algorithms=frozenset({allowed}))


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


def test_encrypted_tokens_are_refused() -> None:
    """RFC 7516: five parts, or an ``enc`` in three."""
    header = b64(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
    assert judge(f"{header}.AA.AA.AA.AA") is Reason.ENCRYPTED
    assert judge(RSA.token(claims(), enc="A256GCM")) is Reason.ENCRYPTED


@pytest.mark.parametrize("cty", ["JWT", "jwt", "application/jwt"])
def test_nested_tokens_are_refused(cty: str) -> None:
    """RFC 7519 §5.2: a token inside of a token."""
    assert judge(RSA.token(claims(), cty=cty)) is Reason.ENCRYPTED


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


_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _pair(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


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


def test_a_lifetime_can_be_bounded() -> None:
    """A token that was made to last for years, or does not say since when, is refused where that is asked."""
    assert judge(RSA.token(claims(iat=NOW, exp=NOW + 60)), max_lifetime=60) == "accepted"
    assert judge(RSA.token(claims(iat=NOW, exp=NOW + 61)), max_lifetime=60) is Reason.LIFETIME
    assert judge(RSA.token(claims(iat=None)), max_lifetime=600) is Reason.LIFETIME


def test_many_keys_are_no_amplifier() -> None:
    """A token that names no key is tried with a few keys, not with a hundred."""
    many = KeySet.from_jwks(jwks(*(RSA.jwk(kid=f"k{number}") for number in range(9))))
    assert judge(RSA.token(claims(), kid=None), many) is Reason.AMBIGUOUS_KEY
    assert judge(RSA.token(claims(), kid="k3"), many) == "accepted"


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


def test_any_issuer_is_not_any_key() -> None:
    """``issuer: any`` and ``audiences: any`` give up what the token says, never who signed it."""
    open_to_all: dict[str, Any] = {"issuer": None, "audiences": None}
    assert judge(RSA.token(claims(iss="https://elsewhere.example", aud="x")), **open_to_all) == "accepted"
    forged = signing_key("RS256", "evil").token(claims(), kid="rsa")
    assert judge(forged, **open_to_all) is Reason.SIGNATURE
