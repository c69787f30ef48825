"""Rules in force, and those that were."""

from __future__ import annotations

import pytest

from ext_authz.errors import PolicyError
from ext_authz.policy import compile_others, compile_policy
from ext_authz.rule_book import RuleBook
from ext_authz.rules import Rule
from servicekit.contracts import AuthPolicy, AuthRule, AuthRules
from tests.unit.ext_authz.builders import RULE, auth_policy, jwt_provider


def rules(rule_id: str, provider: str = "platform") -> dict[str, Rule]:
    """One rule under another id."""
    (rule,) = compile_policy(auth_policy(jwt_provider(name=provider))).values()
    return {rule_id: rule}


def test_a_former_rule_is_answered_for_a_while() -> None:
    """A proxy may run the previous revision; after the grace period it is unknown."""
    book = RuleBook(grace=30)
    book.apply(rules("a"), 0)
    book.apply(rules("b"), 100)
    assert book.get("a", 129.9) is not None
    assert book.get("a", 130) is None
    assert book.get("b", 1e9) is not None


def test_quick_changes_do_not_shorten_the_grace() -> None:
    """Each rule has its own thirty seconds, counted from its end."""
    book = RuleBook(grace=30)
    for now, name in enumerate("abc"):
        book.apply(rules(name), now)
    assert book.get("a", 30.9) is not None
    assert book.get("a", 31) is None
    assert book.get("b", 31.9) is not None


def test_a_rule_that_comes_back_is_in_force() -> None:
    """Going back to the former document ends the grace period, not the rule."""
    book = RuleBook(grace=30)
    for now, name in enumerate("aba"):
        book.apply(rules(name), now)
    assert book.get("a", 1e9) is not None


def test_sources_of_former_rules_are_still_needed() -> None:
    """Their keys have to stay for as long as they are answered."""
    book = RuleBook(grace=30)
    book.apply(rules("a", "one"), 0)
    book.apply(rules("b", "two"), 1)
    assert {source.provider for source in book.sources()} == {"one", "two"}
    book.apply(rules("b", "two"), 40)
    assert {source.provider for source in book.sources()} == {"two"}


def test_a_rule_beside_the_policy_holds_as_long_as_it_stands_there() -> None:
    """A node group that was rolled back asks for it, and its keys are needed."""
    book = RuleBook(grace=30)
    book.apply(rules("b", "two"), 0, others=rules("a", "one"))
    assert book.get("a", 1e9) is not None
    assert {source.provider for source in book.sources()} == {"one", "two"}
    book.apply(rules("b", "two"), 1e9)
    assert book.get("a", 1e9 + 29) is not None
    assert book.get("a", 1e9 + 30) is None


def test_policies_may_mean_different_things_by_one_provider() -> None:
    """Each rule is decided by the provider of its own policy."""
    policy = auth_policy(jwt_provider(issuer="https://new.example"))
    former = auth_policy(jwt_provider(issuer="https://old.example"))
    policy = policy.model_copy(
        update={"others": (AuthRules(providers=former.providers, rules={"old": former.rules[RULE]}),)}
    )
    assert compile_policy(policy)[RULE].jwt[0].policy.issuer == "https://new.example"
    assert compile_others(policy)["old"].jwt[0].policy.issuer == "https://old.example"


def test_a_mistake_beside_the_policy_refuses_it_whole() -> None:
    """And says where it is."""
    bad = AuthRules(rules={"a": AuthRule(any_of=("nobody",))})
    with pytest.raises(PolicyError, match=r"others\[0\]: rule 'a': there is no provider 'nobody'"):
        compile_others(AuthPolicy(others=(bad,)))


def test_an_unknown_rule_is_none() -> None:
    """Nobody guesses what a route might have meant."""
    assert RuleBook().get("", 0) is None
