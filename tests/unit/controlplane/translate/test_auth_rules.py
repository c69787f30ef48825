"""Rule ids mean the same for ever."""

from __future__ import annotations

import re

import pytest

from controlplane.model import IdentityProvider
from controlplane.translate.auth_rules import RuleBook
from tests.harness import gateways as g


def rule_id(*providers: IdentityProvider) -> str:
    """The id of the rule that takes any of ``providers``."""
    found = RuleBook(providers).rule_for(g.route(authenticate=tuple(provider.name for provider in providers)))
    assert found is not None
    return found


def test_an_open_route_has_no_rule() -> None:
    """There is nothing to ask."""
    book = RuleBook([g.jwt_provider()])
    assert book.rule_for(g.route()) is None
    assert not book.rules


def test_equal_demands_share_a_rule() -> None:
    """However many routes make them."""
    book = RuleBook([g.jwt_provider(), g.api_key_provider()])
    assert book.rule_for(g.route(authenticate=("platform",))) == book.rule_for(g.route(authenticate=("platform",)))
    assert len(book.rules) == 1


def test_an_id_can_be_read() -> None:
    """Names first, then the hash."""
    assert re.fullmatch(r"platform\+partners~[0-9a-f]{12}", rule_id(g.jwt_provider(), g.api_key_provider()))


@pytest.mark.parametrize(
    "changed",
    [
        g.jwt_provider(issuer="https://other.example.com"),
        g.jwt_provider(audiences=("other",)),
        g.jwt_provider(algorithms=("RS256",)),
        g.jwt_provider(forward_claims={"sub": "x-other"}),
        g.jwt_provider(leeway=31.0),
    ],
)
def test_whatever_changes_a_decision_changes_the_id(changed: IdentityProvider) -> None:
    """An Envoy with the old routes must not get decisions of the new provider."""
    assert rule_id(changed) != rule_id(g.jwt_provider())


def test_the_order_of_claims_and_keys_does_not_matter() -> None:
    """They are sets to the document's author."""
    one = g.jwt_provider(forward_claims={"sub": "x-user-id", "email": "x-email"})
    two = g.jwt_provider(forward_claims={"email": "x-email", "sub": "x-user-id"})
    assert rule_id(one) == rule_id(two)


def test_another_provider_changes_nothing() -> None:
    """A rule depends on its own providers only."""
    alone = RuleBook([g.jwt_provider()])
    beside = RuleBook([g.jwt_provider(), g.api_key_provider()])
    assert alone.rule_for(g.route(authenticate=("platform",))) == beside.rule_for(g.route(authenticate=("platform",)))


def test_all_of_them_is_another_demand() -> None:
    """And in another order, for the first says who is calling."""
    book = RuleBook([g.jwt_provider(), g.api_key_provider()])
    both = ("platform", "partners")
    routes = [g.route(authenticate=both), g.route(authenticate=both, authenticate_all=True)]
    routes.append(g.route(authenticate=both[::-1], authenticate_all=True))
    assert len({book.rule_for(route) for route in routes}) == 3
