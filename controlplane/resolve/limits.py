"""Rate limits, defaults filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from controlplane import model
from controlplane.config import GatewayConfig
from controlplane.config.limit_parts import EVERYONE
from controlplane.config.problems import Path
from controlplane.config.rate_limits import Cost, PartMatch, RateLimit, Tier
from controlplane.resolve.draft import Draft
from servicekit.contracts.limit_policy import LONGEST_FILL_SECONDS

_WINDOWS: Final = ("fixed_window", "sliding_window")
_MOST_IN_FLIGHT: Final = 10_000
_USUAL_WAIT: Final = 1.0
_USUAL_WAITING: Final = 100


def resolve_limits(document: GatewayConfig, draft: Draft) -> None:
    """Turn every limit into its model, which needs that of the providers."""
    for name, written in document.rate_limits.items():
        limit = _rate_limit(name, written, draft)
        draft.rate_limits.append(limit)
        _check_limit(("rate_limits", name), limit, written.burst, draft)
        for tier in limit.tiers:
            _check_grant(("rate_limits", name, "tiers", tier.name), limit, tier, written.tiers[tier.name], draft)
        for index, case in enumerate(limit.cases):
            _check_case(("rate_limits", name, "cases", index), limit, case, written.cases[index], draft)
        if limit.tiers and limit.is_early:
            message = "limits by ip are asked for before anybody is known"
            draft.refuse(("rate_limits", name, "tiers"), "tiers-by-ip", message, "limit by user or api_key")


def _check_case(path: Path, limit: model.RateLimit, case: model.Case, written: Tier, draft: Draft) -> None:
    _check_grant(path, limit, case, written, draft)
    for one in case.when:
        if one.part not in limit.by:
            parts = ", ".join(limit.by) or "nothing"
            message = f"callers of this limit are told apart by {parts}, not by {one.part}"
            draft.refuse((*path, "when", one.part), "case-part", message, f"add {one.part} to by", at_key=True)


def _claim_headers(by: list[str], draft: Draft) -> dict[str, str]:
    """The header of each claim; the first that a provider names."""
    wanted = {part.partition(":")[2] for part in by if part.startswith("claim:")}
    found: dict[str, str] = {}
    for provider in draft.identity_providers:
        if isinstance(provider, model.JwtProvider):
            for claim in sorted(wanted.intersection(provider.forward_claims)):
                found.setdefault(claim, provider.forward_claims[claim])
    return found


def _check_grant(path: Path, limit: model.RateLimit, grant: model.Grant, written: Tier, draft: Draft) -> None:
    if grant.ruling != "amount":
        return
    amount = replace(limit, requests=grant.requests, period=grant.period, burst=grant.burst)
    _check_limit(path, amount, written.burst, draft)
    if limit.algorithm in _WINDOWS and grant.period != limit.period:
        message = "windows of another length are other windows: who gets these would begin anew"
        draft.refuse((*path, "per"), "tier-window", message, "remove per, or take a token_bucket")


def _check_limit(path: Path, limit: model.RateLimit, burst: int | None, draft: Draft) -> None:
    if limit.algorithm == "concurrency":
        if limit.requests > _MOST_IN_FLIGHT:
            message = f"at most {_MOST_IN_FLIGHT} requests are counted one by one"
            draft.refuse((*path, "requests"), "most-in-flight", message, "lower it, or use a limit of an upstream")
        if limit.cost != 1:
            draft.refuse((*path[:2], "cost"), "cost-in-flight", "a request in flight is one", "remove cost")
    if burst is not None and limit.algorithm != "token_bucket":
        message = f"a {limit.algorithm} lets `requests` through at once, whatever the burst"
        draft.refuse((*path, "burst"), "no-burst", message, "remove burst, or take a token_bucket")
    elif limit.algorithm == "token_bucket" and limit.burst * limit.period / limit.requests > LONGEST_FILL_SECONDS:
        message = f"{limit.burst} tokens at {limit.requests} in {limit.period:g} s would take over a century to gather"
        draft.refuse((*path, "burst"), "never-full", message, "lower burst, or raise requests")
    cost, holds = limit.cost, limit.burst if limit.algorithm == "token_bucket" else limit.requests
    most = cost if isinstance(cost, int) else cost.most if cost.place == "request" else 1
    if most > holds:
        message = f"a request that counts as {most} would never pass where {holds} fit"
        hint = "lower it, or raise burst here and in tiers and cases"
        draft.refuse((*path[:2], "cost"), "cost-never-fits", message, hint)


def _rate_limit(name: str, written: RateLimit, draft: Draft) -> model.RateLimit:
    waits = written.when_exceeded == "queue"
    return model.RateLimit(
        name=name,
        by=() if EVERYONE in written.by else tuple(written.by),
        claim_headers=_claim_headers(written.by, draft),
        enforce=written.enforce,
        algorithm=written.algorithm,
        requests=written.requests,
        period=written.per,
        burst=written.requests if written.burst is None else written.burst,
        on_store_failure=written.on_store_failure,
        tiers=tuple(model.Tier(name=tier, **_grant(grant, written)) for tier, grant in sorted(written.tiers.items())),
        cases=tuple(
            model.Case(when=tuple(map(_part_match, case.when, case.when.values())), **_grant(case, written))
            for case in written.cases
        ),
        cost=_cost(written.cost),
        when_exceeded=written.when_exceeded,
        max_wait=(written.max_wait or _USUAL_WAIT) if waits else 0.0,
        max_waiting=(written.max_waiting or _USUAL_WAITING) if waits else 0,
        headers=written.headers,
    )


def _grant(written: Tier, limit: RateLimit) -> dict[str, Any]:
    """The members of :class:`model.Grant`."""
    if written.requests is None:
        return {"ruling": "unlimited" if written.unlimited else "denied"}
    return {
        "requests": written.requests,
        "period": limit.per if written.per is None else written.per,
        "burst": written.requests if written.burst is None else written.burst,
        "priority": written.priority,
    }


def _part_match(part: str, written: PartMatch) -> model.PartMatch:
    if written.exact is not None:
        return model.PartMatch(part=part, kind="exact", value=written.exact)
    if written.prefix is not None:
        return model.PartMatch(part=part, kind="prefix", value=written.prefix)
    return model.PartMatch(part=part, kind="regex", value=written.regex or "")


def _cost(written: Cost) -> int | model.Cost:
    most = written.most or 1
    if written.request_header is not None:
        return model.Cost(place="request", header=written.request_header, most=most)
    if written.response_header is not None:
        return model.Cost(place="response", header=written.response_header, most=most)
    return written.requests or 1
