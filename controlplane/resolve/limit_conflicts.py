"""Limits and routes that are right by themselves and wrong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controlplane.config.problems import Path, quoted
from controlplane.model import ApiKeyProvider, Forward, IdentityProvider, JwtProvider, RateLimit, Route
from controlplane.resolve.draft import Draft

_IDENTITY: Final = ("user", "api_key", "tier", "claim")
_Wrong = tuple[str, str]
"""What is wrong, and what to do."""


def find_limit_conflicts(draft: Draft) -> None:
    """Look at every limit, and at those of every route."""
    limits = {limit.name: limit for limit in draft.rate_limits}
    providers = {provider.name: provider for provider in draft.identity_providers}
    for limit in draft.rate_limits:
        for message, hint in _header_mistakes(limit, draft.identity_providers):
            draft.refuse(("rate_limits", limit.name, "by"), "limit-by-header", message, hint)
    for index, route in enumerate(draft.routes):
        quotas = [name for name in route.rate_limits if name in limits and limits[name].enforce == "quota"]
        if len(quotas) > 1:
            message = f"Envoy counts for one quota, and these are {' and '.join(map(quoted, quotas))}"
            path: Path = ("routes", index, "rate_limits", route.rate_limits.index(quotas[1]))
            draft.refuse(path, "two-quotas", message, "keep the narrower one")
        for position, name in enumerate(route.rate_limits):
            if name not in limits:
                continue
            limit = limits[name]
            path = ("routes", index, "rate_limits", position)
            for message, hint in _identity_mistakes(limit, route, providers):
                draft.refuse(path, "limit-without-identity", message, hint)
            if limit.enforce == "shared" and not isinstance(route.action, Forward):
                message = f"{quoted(name)} counts in Redis, and Envoy asks there only for requests to an upstream"
                hint = "remove it, or take a limit with enforce: local"
                draft.refuse(path, "limit-never-asked", message, hint)


def _header_mistakes(limit: RateLimit, providers: list[IdentityProvider]) -> Iterator[_Wrong]:
    """Headers that are credentials, or that are told by authentication and never by a client."""
    for part in limit.by:
        kind, _, header = part.partition(":")
        if kind != "header":
            continue
        for provider in providers:
            if header in _credentials(provider):
                message = f"{header} has credentials for {quoted(provider.name)}, and names of callers are shown"
                yield message, "limit by user or api_key"
            elif isinstance(provider, JwtProvider) and header in provider.forward_claims.values():
                claim = min(claim for claim, one in provider.forward_claims.items() if one == header)
                yield f"{quoted(provider.name)} sets {header}, and no client can", f"write claim:{claim}"
            elif isinstance(provider, ApiKeyProvider) and header == provider.forward_id:
                yield f"{quoted(provider.name)} sets {header}, and no client can", "write api_key"


def _credentials(provider: IdentityProvider) -> set[str]:
    if isinstance(provider, ApiKeyProvider):
        return {provider.header}
    return {place.name for place in provider.token_from if place.kind == "header"}


def _identity_mistakes(limit: RateLimit, route: Route, providers: dict[str, IdentityProvider]) -> Iterator[_Wrong]:
    """What the route does not find out of its callers: the limit would never count, or count all as one."""
    name = quoted(limit.name)
    wanted = [part for part in limit.by if part.partition(":")[0] in _IDENTITY]
    if wanted and not route.authenticate:
        yield f"{name} counts by {wanted[0]}, but the route does not authenticate", "add authenticate, or a limit by ip"
        return
    known = [providers[one] for one in route.identified_by if one in providers]
    for part in wanted:
        kind, _, claim = part.partition(":")
        if kind == "api_key" and not any(isinstance(one, ApiKeyProvider) for one in known):
            yield f"{name} counts by api_key, but no provider of the route takes API keys", "use a limit by user"
        elif kind == "user":
            for one in known:
                if isinstance(one, JwtProvider) and not one.has_user:
                    message = f"{name} counts by user, but tokens of {quoted(one.name)} need not name one"
                    yield message, "put sub among its required_claims"
                    break
        elif kind == "claim":
            yield from _claim_mistakes(limit, claim, known)


def _claim_mistakes(limit: RateLimit, claim: str, known: list[IdentityProvider]) -> Iterator[_Wrong]:
    header = limit.claim_headers.get(claim)
    for one in known:
        if isinstance(one, ApiKeyProvider):
            message = f"{quoted(limit.name)} counts by claim:{claim}, but keys of {quoted(one.name)} have no claims"
            yield message, "use a limit by user or api_key"
        elif claim not in one.forward_claims:
            message = f"{quoted(limit.name)} counts by claim:{claim}, which {quoted(one.name)} does not forward"
            yield message, f"add forward_claims: {{{claim}: {header or 'x-' + claim.lower()}}}"
        elif one.forward_claims[claim] != header:
            message = f"providers forward the claim {claim} in {header} and in {one.forward_claims[claim]}"
            yield message, "take the same header in all of them"
