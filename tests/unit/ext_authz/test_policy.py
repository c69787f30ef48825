"""Which policies can be enforced."""

from __future__ import annotations

from typing import Any

import pytest

from ext_authz.errors import PolicyError
from ext_authz.policy import compile_policy
from servicekit.contracts import AuthPolicy, AuthRule
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider

HASH = "0" * 63 + "1"


def test_a_policy_becomes_rules() -> None:
    """Everything is worked out beforehand."""
    rule = compile_policy(auth_policy(jwt_provider(), api_key_provider(keys={"ci": HASH})))[RULE]
    assert [check.provider for check in rule.jwt] == ["platform"]
    assert [check.provider for check in rule.api_keys] == ["machines"]
    assert rule.identity_headers == {"x-user-id", "x-machine"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "a:b"}, "colon"),
        ({"name": ""}, "not empty"),
        ({"issuer": ""}, "mandatory"),
        ({"audiences": ()}, "mandatory"),
        ({"audiences": ("",)}, "mandatory"),
        ({"algorithms": ()}, "algorithms"),
        ({"jwks_uri": "http://id.example.com/jwks"}, "another machine"),
        ({"jwks_uri": "http://127.0.0.1.evil.com/jwks"}, "another machine"),
        ({"jwks_uri": "ftp://id.example.com/jwks"}, "not an http"),
        ({"jwks_uri": "file:///etc/passwd"}, "not an http"),
        ({"jwks_uri": ""}, "not an http"),
        ({"jwks_uri": "https://id.example.com:x/"}, "jwks_uri"),
        ({"jwks_uri": "https://user:hunter2@id.example.com/"}, "jwks_uri has a user"),
        ({"discovery": True}, "discovery and jwks_uri exclude"),
        ({"discovery": True, "jwks_uri": "", "issuer": None}, "discovery: the issuer is not an http"),
        ({"discovery": True, "jwks_uri": "", "issuer": "http://id.example.com"}, "discovery: the issuer is http"),
        ({"discovery": True, "jwks_uri": "", "issuer": "https://id.example.com/?a"}, "query"),
        ({"jwks": "{}"}, "no array"),
        ({"jwks": '{"keys":[{"kty":"oct","k":"AA"}]}'}, "no usable key"),
        ({"forward_claims": {"sub": "X-User"}}, "lower case"),
        ({"forward_claims": {"sub": "x user"}}, "lower case"),
        ({"forward_claims": {"sub": ":path"}}, "lower case"),
        ({"forward_claims": {"sub": "host"}}, "meaning of its own"),
    ],
)
def test_unsafe_issuers_are_refused(changes: dict[str, Any], why: str) -> None:
    """What nobody can enforce safely takes no effect."""
    with pytest.raises(PolicyError, match=why):
        compile_policy(auth_policy(jwt_provider(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks_uri": "http://127.0.0.1:8049/jwks"},
        {"jwks_uri": "http://[::1]/jwks"},
        {"discovery": True, "jwks_uri": ""},
        {"jwks_uri": "http://id.internal/jwks", "allow_insecure_jwks": True},
        {"jwks_uri": "", "jwks": jwks(signing_key("ES256").jwk()).decode()},
    ],
)
def test_safe_places_for_keys(changes: dict[str, Any]) -> None:
    """TLS anywhere, plain http on this machine or where it was allowed, or in the policy itself."""
    assert compile_policy(auth_policy(jwt_provider(**changes)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"keys": {"ci": "abc"}}, "64 lower-case"),
        ({"keys": {"ci": HASH.replace("1", "A")}}, "64 lower-case"),
        ({"keys": {"": HASH}}, "not an id"),
        ({"keys": {"ci": HASH, "cd": HASH}}, "another id"),
        ({"header": "X-Api-Key"}, "lower case"),
        ({"forward_id": "host"}, "meaning of its own"),
    ],
)
def test_bad_api_keys_are_refused(changes: dict[str, Any], why: str) -> None:
    """Hashes that are none, one key under two ids, headers that can't be."""
    with pytest.raises(PolicyError, match=why):
        compile_policy(auth_policy(api_key_provider(**changes)))


def test_every_mistake_at_once() -> None:
    """The text names all that is wrong."""
    policy = AuthPolicy(
        providers=(jwt_provider(issuer=""), jwt_provider()),
        rules={"r": AuthRule(any_of=("nobody",), scopes=("a b",))},
        identity_headers=("Bad",),
    )
    with pytest.raises(PolicyError) as refusal:
        compile_policy(policy)
    for part in ("mandatory", "twice", "'nobody'", "not a scope", "'Bad'"):
        assert part in str(refusal.value)


def test_rules_that_decide_differently_are_told_apart() -> None:
    """What is cached under one is never found under the other."""
    variants = [
        auth_policy(jwt_provider()),
        auth_policy(jwt_provider(audiences=("other",))),
        auth_policy(jwt_provider(forward_claims={"sub": "x-other"})),
        auth_policy(jwt_provider(), scopes=("a",)),
        auth_policy(jwt_provider()).model_copy(update={"identity_headers": ("x-more",)}),
    ]
    prints = {compile_policy(policy)[RULE].fingerprint for policy in variants}
    assert len(prints) == len(variants)


def test_a_key_of_the_document_has_its_tier() -> None:
    """And the key beside it has none."""
    keys = {"ci": "a" * 64, "cd": "b" * 64}
    (check,) = compile_policy(auth_policy(api_key_provider(keys=keys, tiers={"ci": "pro"})))[RULE].api_keys
    assert {known.key_id: known.tier for same in check.keys.values() for known in same} == {"ci": "pro", "cd": None}


@pytest.mark.parametrize("tiers", [{"nobody": "pro"}, {"ci": "gold plated"}])
def test_a_tier_without_a_key_or_with_odd_letters_is_refused(tiers: dict[str, str]) -> None:
    """It would stand in metadata and names of counters."""
    with pytest.raises(PolicyError, match="its tier needs a key"):
        compile_policy(auth_policy(api_key_provider(keys={"ci": "a" * 64}, tiers=tiers)))
