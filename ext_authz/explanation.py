"""Why a request is let through or not: one check by the code of every check, with its steps told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from ext_authz.authorization import (
    CLIENT_IP,
    EXPRESSION,
    METHOD,
    Authorization,
    Caller,
    Claims,
    Holds,
    RequestFacts,
)
from ext_authz.checker import Answer, Checker, NeedsRule
from ext_authz.credentials import Headers, Malformed
from ext_authz.decision import Allow, NeedsIntrospection, NeedsKeys
from ext_authz.denials import Deny, Unavailable, introspection_unavailable
from ext_authz.errors import KeyFetchError, PolicyError
from ext_authz.introspection import Introspections
from ext_authz.issuer_client import IssuerClient
from ext_authz.key_book import NO_KEYS
from ext_authz.key_fetcher import DEADLINE, FetchKeys
from ext_authz.key_ring import KeyRing
from ext_authz.policy import compile_policy
from ext_authz.revocations import RevocationList
from ext_authz.rule_book import RuleBook
from ext_authz.rules import Rule, TokenGroup
from ext_authz.steps import Step, Tell
from ext_authz.token_places import Facts, Find, Found
from servicekit.contracts import Authorize, AuthRules, ClaimCondition, TokenPlace
from servicekit.secret_reference import NO_SECRETS, Secrets

Outcome: TypeAlias = Allow | Deny | Unavailable | NeedsKeys
"""What became of it; :class:`NeedsKeys` when nobody may be asked for the keys. Nobody is ever asked about a token: what
only its issuer knows is :class:`Unavailable`."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome, and how it came about."""

    outcome: Outcome
    steps: tuple[Step, ...]


async def explain(
    policy: AuthRules,
    rule_id: str,
    headers: Headers,
    facts: RequestFacts,
    *,
    fetcher: FetchKeys | None,
    secrets: Secrets = NO_SECRETS,
) -> Explanation:
    """Check one request as the service would, by the rule ``rule_id`` of ``policy``, now.

    ``fetcher`` gets the keys that the policy does not hold; with ``None`` nobody is asked. What the rule's
    providers name has to be among ``secrets``.

    Raises:
        PolicyError: the policy can't be enforced, or has no such rule.
    """
    if rule_id not in policy.rules:
        raise PolicyError(f"there is no rule {rule_id!r}")
    rule = compile_policy(_narrowed(policy, rule_id), secrets)[rule_id]
    told: list[Step] = []
    rules, keys = (
        RuleBook(),
        KeyRing(fetcher=fetcher or _Nobody(), clock=time.monotonic, count_fetch=_uncounted, secrets=secrets),
    )
    rules.apply({rule_id: _told(rule, policy.rules[rule_id].authorize, told.append)}, time.monotonic())
    keys.apply(rules.sources())
    checker: Checker[Allow | Deny | Unavailable] = Checker(
        rules=rules,
        keys=keys,
        book=NO_KEYS,
        introspections=Introspections(client=IssuerClient(), wall=time.time, count=_uncounted, entries=1),
        revocations=_none_revoked(),
        render=_as_it_is,
        replace_cookies=lambda allowed, _cookies: allowed,
        join=_joined,
        clock=time.monotonic,
        wall=time.time,
        cache_entries=1,
        tell=told.append,
    )
    if fetcher is not None:
        await _fetch(keys, told.append)
    found = checker.check(rule_id, headers, lambda: facts)
    if isinstance(found, NeedsKeys) and (fetcher is not None or found.source.given is not None):
        found = await checker.check_with(rule_id, headers, found, DEADLINE, lambda: facts)
    if isinstance(found, NeedsIntrospection):
        provider = found.introspection.provider
        told.append(Step("introspection", False, "nobody is asked about a token from here", provider))
        return Explanation(introspection_unavailable(provider), tuple(told))
    if isinstance(found, NeedsRule):
        raise PolicyError(f"there is no rule {rule_id!r}")
    return Explanation(found.rendered if isinstance(found, Answer) else found, tuple(told))


def _narrowed(policy: AuthRules, rule_id: str) -> AuthRules:
    """The rule and its providers: secrets of others need not be known where this is explained."""
    rule = policy.rules[rule_id]
    return AuthRules(
        providers=tuple(provider for provider in policy.providers if provider.name in rule.any_of),
        rules={rule_id: rule},
        identity_headers=policy.identity_headers,
    )


def _none_revoked() -> RevocationList:
    """Steps tell that nobody looked."""
    known = RevocationList()
    known.loaded = True
    return known


class _Nobody:
    """Where no keys are fetched."""

    async def fetch(self, uri: str) -> bytes:
        raise KeyFetchError(f"{uri} is not asked")


async def _fetch(keys: KeyRing, tell: Tell) -> None:
    """Have the keys before the check begins, so that its steps are told once."""
    for state in list(keys.states()):
        refresher = keys.refresher(state.source)
        if refresher is not None and state.source.given is None:
            await refresher.obtain(None, patience=DEADLINE)
            if state.last_error is not None:
                tell(
                    Step("fetching keys", False, f"{state.source.location}: {state.last_error}", state.source.provider)
                )


def _told(rule: Rule, written: Authorize | None, tell: Tell) -> Rule:
    """The rule, whose every question is told."""
    return replace(
        rule,
        tokens=tuple(replace(group, find=_told_find(group, tell)) for group in rule.tokens),
        parts=tuple(_told(part, None if part.is_witness else written, tell) for part in rule.parts),
        authorization=_ToldAuthorization(
            claims=tuple(
                (kind, _told_condition(kind, holds, text, tell))
                for (kind, holds), text in zip(
                    rule.authorization.claims, _conditions(None if rule.parts else written), strict=True
                )
            ),
            methods=rule.authorization.methods,
            networks=rule.authorization.networks,
            expression=rule.authorization.expression,
            tell=tell,
        ),
    )


def _told_find(group: TokenGroup, tell: Tell) -> Find:
    places = " or ".join(map(_place, group.checks[0].places))
    providers = ", ".join(check.provider for check in group.checks)

    def find(headers: Headers, facts: Facts) -> Found:
        found = group.find(headers, facts)
        if isinstance(found, Malformed):
            tell(Step("token", False, f"not exactly one token in {places}", providers))
        else:
            tell(Step("token", found is not None, f"{'none' if found is None else 'found'} in {places}", providers))
        return found

    return find


def _place(place: TokenPlace) -> str:
    return f"the {_KINDS[place.kind]} {place.name}"


def _told_condition(kind: str, holds: Holds, text: str, tell: Tell) -> Holds:
    def told(claims: Claims) -> bool:
        answer = holds(claims)
        tell(Step(kind, answer, text))
        return answer

    return told


def _conditions(written: Authorize | None) -> Iterator[str]:
    """What each condition asks, in the order in which they are compiled."""
    if written is None:
        return
    if written.roles:
        yield f"{written.roles_claim} has one of: {_listed(written.roles)}"
    yield from map(_condition, written.claims)


def _condition(written: ClaimCondition) -> str:
    asks = {"equals": "is", "any_of": "has one of:", "all_of": "has all of:"}
    return f"{written.path} {asks[written.operator]} {_listed(written.values)}"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToldAuthorization(Authorization):
    """Says what it asks of a request."""

    tell: Tell = field(compare=False)

    def refuses_caller(self, caller: Caller) -> str | None:
        failed = Authorization.refuses_caller(self, caller)
        if self.expression is not None and not self.expression.asks_request:
            self.tell(Step(EXPRESSION, failed is None, self.expression.text))
        return failed

    def refuses_expression(self, request: RequestFacts, caller: Caller) -> str | None:
        failed = Authorization.refuses_expression(self, request, caller)
        if self.expression is not None and self.expression.asks_request:
            self.tell(Step(EXPRESSION, failed is None, self.expression.text))
        return failed

    def refuses_origin(self, request: RequestFacts) -> str | None:
        failed = Authorization.refuses_origin(self, request)
        if self.methods:
            self.tell(Step(METHOD, failed != METHOD, f"{request.method}; asked: {_listed(sorted(self.methods))}"))
        if self.networks and failed != METHOD:
            client = request.client_ip or "an unknown address"
            self.tell(Step(CLIENT_IP, failed != CLIENT_IP, f"{client}; asked: {_listed(self.networks)}"))
        return failed


def _joined(decisions: Sequence[Allow | Deny | Unavailable]) -> Allow | Deny | Unavailable:
    """Several yeses: the first, with the headers of all."""
    allowed = [decision for decision in reversed(decisions) if isinstance(decision, Allow)]
    headers = {name: value for one in allowed for name, value in one.set_headers.items()}
    return replace(allowed[-1], set_headers=headers)


def _as_it_is(decision: Allow | Deny | Unavailable) -> Allow | Deny | Unavailable:
    return decision


def _uncounted(_provider: str, _outcome: str) -> None:
    """Nobody counts the fetches of one question."""


_KINDS: Final = {"header": "header", "cookie": "cookie", "query": "query parameter"}
