"""What is fuzzed: every parser of ext_authz that reads what a client or an issuer sends, and what Envoy passes on of it
to the rate-limit service. Each takes any octets.

A target raises when a promise is broken: an error that is not the parser's own, a token that nobody signed and that is
good all the same, a text that is read otherwise than it is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import lru_cache

from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest
from google.protobuf.message import DecodeError

from ext_authz.discovery import published_jwks_uri
from ext_authz.errors import KeyFetchError, KeySetError
from ext_authz.introspection import read_introspection
from ext_authz.issuer_client import IssuerError
from ext_authz.jose import strict_object
from ext_authz.jwt import Verified, verify
from ext_authz.key_loader import public_keys
from ext_authz.keys import KeySet
from ext_authz.set_cookie import fits, set_cookie
from ext_authz.token_endpoint import RefreshRefusedError, read_answer
from ext_authz.token_places import cookie_value, with_cookie, without_cookies
from ratelimit_service.matching import match
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import PolicyBook
from ratelimit_service.service import descriptors
from ratelimit_service.wire import read_request
from servicekit.buckets import script
from servicekit.contracts import Limit, LimitPolicy
from servicekit.contracts.api_keys import API_KEY_TEXT
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import ALL, NOW, claims, key_set, policy


@lru_cache(maxsize=1)
def _known() -> tuple[KeySet, frozenset[str]]:
    """Keys, and the tokens that they signed."""
    keys = (signing_key("ES256", "e"), signing_key("EdDSA", "d"))
    return key_set(*keys), frozenset(key.token(claims()) for key in keys)


def token(data: bytes) -> None:
    """A token is refused, unless one of the keys signed exactly what it says."""
    keys, signed = _known()
    found = verify(data, keys, policy(algorithms=ALL), now=NOW)
    if isinstance(found, Verified) and data.decode().rpartition(".")[0] not in {t.rpartition(".")[0] for t in signed}:
        raise AssertionError("a token that nobody signed is good")


def plain_object(data: bytes) -> None:
    """JSON of a header or of claims: a plain object, or none."""
    found = strict_object(data)
    if found is not None and not isinstance(found, dict):
        raise AssertionError("this is no object")


def keys(data: bytes) -> None:
    """A JWK Set, or PEM: keys or an error in words."""
    for parse in (KeySet.from_jwks, public_keys):
        with contextlib.suppress(KeySetError):
            parse(data)


def metadata(data: bytes) -> None:
    """Metadata of an issuer: a URL or an error in words."""
    with contextlib.suppress(KeyFetchError):
        published_jwks_uri(data, "https://id.example.com")


def issuer_answers(data: bytes) -> None:
    """What a token endpoint and an introspection endpoint answer."""
    with contextlib.suppress(IssuerError, RefreshRefusedError):
        read_answer(200, data)
    with contextlib.suppress(IssuerError):
        read_introspection(200, data)


def api_key(data: bytes) -> None:
    """An API key is read only as it is written."""
    text = data.decode("latin-1")
    read = API_KEY_TEXT.read(text)
    if read is not None and API_KEY_TEXT.write(read) != text:
        raise AssertionError("a key is read that is written otherwise")


def cookies(data: bytes) -> None:
    """A cookie that is set or changed is found, and one that is taken out is not."""
    text = data.decode("latin-1")
    if cookie_value(with_cookie(text[:1000], "session", "new"), "session") != "new":
        raise AssertionError("a cookie that was set is not found")
    left = without_cookies(text, frozenset({"session"}))
    if left is not None and cookie_value(left, "session") is not None:
        raise AssertionError("a cookie that was taken out is found")
    if fits("session", text) and set_cookie(
        "session", text, max_age=1, path="/", same_site="Lax", secure=True
    ).count(";") != 5:  # fmt: skip
        raise AssertionError("a value brings an attribute")


@lru_cache(maxsize=1)
def _limits() -> PolicyBook:
    """Limits of every kind."""
    book = PolicyBook(clock=lambda: 0.0)
    made = (
        Limit(name="plain", by="user", requests=1, period_seconds=1, burst=1),
        Limit(name="mixed", by="ip path header:x", requests=1, period_seconds=1, burst=1, most_cost=9),
        Limit(name="flying", by="everyone", algorithm="concurrency", requests=1, period_seconds=1, burst=1),
    )
    book.apply(LimitPolicy(limits=made))
    return book


def limit_question(data: bytes) -> None:
    """What Envoy asks of limits: no question, or one whose every descriptor has a place and asks for what can be."""
    with contextlib.suppress(DecodeError):
        request = read_request(data)
        asked = descriptors(request)
        nobody = OverrideBook(wall=lambda: 0.0, changed=lambda: None)
        matched = match(_limits().find, nobody, request.domain, asked)
        script.pack([matched.takes])
        if not len(matched.places) == len(matched.callers) == len(asked):
            raise AssertionError("a descriptor was lost")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (token, plain_object, keys, metadata, issuer_answers, api_key, cookies, limit_question)
}


def _question(limit: str) -> RateLimitRequest:
    request = RateLimitRequest(domain="gateway")
    descriptor = request.descriptors.add()
    by = {"mixed": "ip path header:x", "flying": "everyone"}.get(limit, "user")
    for key, value in (("limit", limit), ("by", by), ("ip", "::1"), ("path", "/a?b"), ("cost", "3"), ("lease", "x")):
        descriptor.entries.add(key=key, value=value)
    descriptor.hits_addend.value = 2
    return request


def seeds() -> Mapping[str, list[bytes]]:
    """What each target begins with: things that are right."""
    _, signed = _known()
    pem = signing_key("ES256", "e").pem()
    return {
        "token": [text.encode() for text in signed],
        "plain_object": [b'{"alg":"ES256","kid":"e"}'],
        "keys": [jwks(signing_key("ES256", "e").jwk()), pem],
        "metadata": [b'{"issuer":"https://id.example.com","jwks_uri":"https://id.example.com/jwks"}'],
        "issuer_answers": [b'{"access_token":"a","token_type":"Bearer"}', b'{"active":true,"sub":"a"}'],
        "api_key": [API_KEY_TEXT.write(API_KEY_TEXT.make()).encode()],
        "cookies": [b"session=a; other=b"],
        "limit_question": [_question(name).SerializeToString() for name in ("plain", "mixed", "flying")],
    }
