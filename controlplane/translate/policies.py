"""The policies of the Python services, as xDS resources."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.model import Cost, Grant, IdentityProvider, JwtProvider, RateLimit
from controlplane.translate import names
from controlplane.translate.auth_rules import RuleBook
from controlplane.xds.snapshot import Resource, encode_bytes
from servicekit.contracts import Amount, AuthPolicy, Limit, LimitPolicy
from servicekit.contracts import limit_policy as contracts
from servicekit.contracts.limit_policy import Case, Condition


def identity_headers(providers: Iterable[IdentityProvider]) -> tuple[str, ...]:
    """Every header by which a provider tells the backend who is calling, sorted."""
    found: set[str] = set()
    for provider in providers:
        if isinstance(provider, JwtProvider):
            found.update(provider.forward_claims.values())
        elif provider.forward_id is not None:
            found.add(provider.forward_id)
    return tuple(sorted(found))


def auth_policy(book: RuleBook, headers: tuple[str, ...]) -> Resource:
    """What ext_authz decides by: every provider of the document, and the rules that its routes name."""
    policy = AuthPolicy(
        providers=tuple(book.providers[name] for name in sorted(book.providers)),
        rules=dict(sorted(book.rules.items())),
        identity_headers=headers,
    )
    return encode_bytes(names.POLICY, AuthPolicy.TYPE_URL, policy.encode())


def limit_policy(limits: Iterable[RateLimit]) -> Resource:
    """What the rate-limit service decides by."""
    found = map(shared_limit, sorted(limits, key=lambda limit: limit.name))
    policy = LimitPolicy(limits=tuple(limit for limit in found if limit is not None))
    return encode_bytes(names.POLICY, LimitPolicy.TYPE_URL, policy.encode())


def shared_limit(limit: RateLimit) -> Limit | None:
    """A limit as the rate-limit service has it; ``None`` where Envoy counts by itself."""
    return None if limit.enforce == "local" else _limit(limit)


def _limit(limit: RateLimit) -> Limit:
    return Limit(
        name=limit.name,
        by=limit.by_text,
        algorithm=limit.algorithm,
        requests=limit.requests,
        period_seconds=limit.period,
        burst=limit.burst,
        on_store_failure=limit.on_store_failure,
        tiers={tier.name: _grant(tier) for tier in limit.tiers},
        cases=tuple(
            Case(when={one.part: Condition(kind=one.kind, value=one.value) for one in case.when}, grant=_grant(case))
            for case in limit.cases
        ),
        most_cost=limit.cost.most if isinstance(limit.cost, Cost) else None,
        is_quota=limit.enforce == "quota",
        when_exceeded=limit.when_exceeded,
        max_wait_seconds=limit.max_wait,
        max_waiting=limit.max_waiting,
        fields=limit.headers,
    )


def _grant(grant: Grant) -> contracts.Grant:
    if grant.ruling == "amount":
        return Amount(requests=grant.requests, period_seconds=grant.period, burst=grant.burst, priority=grant.priority)
    return grant.ruling
