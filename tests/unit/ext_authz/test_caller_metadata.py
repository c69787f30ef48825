"""What Envoy is told of a caller beside headers: tier and scopes, bounded, and nothing that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from hypothesis import example, given
from hypothesis import strategies as st

from ext_authz.allowing import MAX_SCOPES_LENGTH
from ext_authz.answers import encode
from ext_authz.decision import Allow
from ext_authz.keys import KeySet
from ext_authz.policy import compile_policy
from ext_authz.rules import Rule
from ext_authz.token_decision import decide_token
from servicekit.contracts import AuthPolicy
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import NOW, claims
from tests.unit.ext_authz.builders import RULE, auth_policy, jwt_provider

KEY = signing_key("ES256", "one")
KEYS = KeySet.from_jwks(jwks(KEY.jwk()))
TIERED = jwt_provider(tier_claim="account.tier")


def rule(policy: AuthPolicy) -> Rule:
    """The only one."""
    return compile_policy(policy)[RULE]


def decided(policy: AuthPolicy, **changes: Any) -> Allow:
    """What becomes of a good token with these claims."""
    found = rule(policy)
    verdict = decide_token(found, found.jwt, KEY.token(claims(**changes)), lambda _: KEYS, NOW)
    assert isinstance(verdict, Allow)
    return verdict


def metadata(policy: AuthPolicy, **changes: Any) -> dict[str, str]:
    """What Envoy gets."""
    return dict(CheckResponse.FromString(encode(decided(policy, **changes))).dynamic_metadata)


@pytest.mark.parametrize(
    ("claim", "tier"),
    [
        ({"tier": "gold"}, "gold"),
        ({"tier": "a" * 64}, "a" * 64),
        ({"tier": "a" * 65}, None),
        ({"tier": "gold plated"}, None),
        ({"tier": "gold\n"}, None),
        ({"tier": 1}, None),
        ({"tier": ["gold"]}, None),
        ({"tier": ""}, None),
        ({}, None),
        ("gold", None),
    ],
)
def test_a_tier_is_a_short_plain_text(claim: object, tier: str | None) -> None:
    """Anything else is no tier, rather than one that somebody could make up."""
    assert metadata(auth_policy(TIERED), account=claim).get("tier") == tier


def test_without_a_tier_claim_there_is_no_tier() -> None:
    """Whatever the token says."""
    assert "tier" not in metadata(auth_policy(jwt_provider()), tier="gold", account={"tier": "gold"})


def test_scopes_are_told_sorted() -> None:
    """Also those that no route asks for; a token without any tells none."""
    assert metadata(auth_policy(jwt_provider()), scope="write  read admin")["scopes"] == "admin read write"
    assert "scopes" not in metadata(auth_policy(jwt_provider()))


@given(st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=900), max_size=12))
@example(["a" * MAX_SCOPES_LENGTH])
@example(["a" * (MAX_SCOPES_LENGTH // 2), "b" * (MAX_SCOPES_LENGTH // 2)])
def test_scopes_are_told_whole_or_not_at_all(scopes: list[str]) -> None:
    """A part would say that the rest is not granted; more than its bound is never sent."""
    told = decided(auth_policy(jwt_provider()), scp=scopes).identity.scopes
    whole = " ".join(sorted(set(scopes)))
    assert told == (whole if 0 < len(whole) <= MAX_SCOPES_LENGTH else None)


@pytest.mark.parametrize("provider", [True, False])
@pytest.mark.parametrize("route", [True, False, None])
def test_a_route_overrides_its_provider(provider: bool, route: bool | None) -> None:
    """Whether the backend gets the token."""
    policy = auth_policy(jwt_provider(forward_token=provider), forward_token=route)
    kept = provider if route is None else route
    assert ("authorization" not in decided(policy).remove_headers) is kept


def test_rules_that_say_nothing_new_keep_their_ids() -> None:
    """Ids are hashes of the JSON: what is not said is not in it."""
    policy = auth_policy(jwt_provider())
    assert b"forward_token" not in policy.rules[RULE].encode()
    assert b"tier_claim" not in policy.encode()
