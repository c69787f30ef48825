"""Conflicts: what is right by itself and wrong beside something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from controlplane.config import GatewayConfig
from controlplane.config.problems import Path, quoted
from controlplane.model import ApiKeyProvider, IdentityProvider, JwtProvider
from controlplane.resolve.coverage import RouteIndex
from controlplane.resolve.draft import Draft
from controlplane.resolve.limit_conflicts import find_limit_conflicts
from controlplane.resolve.node_groups import routes_of


def find_conflicts(document: GatewayConfig, draft: Draft) -> None:
    """Look at everything that can only be seen in the whole."""
    _duplicate_names("listeners", (listener.name for listener in document.listeners), draft)
    _duplicate_names("upstreams", (upstream.name for upstream in document.upstreams), draft)
    _duplicate_names("routes", (route.name for route in document.routes), draft)
    _unreachable_routes(draft)
    find_limit_conflicts(draft)
    _scopes_without_tokens(draft)
    _authorize_without_identity(draft)
    _forwarding_without_tokens(draft)
    _credentials_in_one_place(draft)


def _duplicate_names(section: str, names: Iterable[str | None], draft: Draft) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name is None:
            continue
        if name in seen:
            draft.refuse((section, index, "name"), "duplicate-name", f"{quoted(name)} stands in {section} twice")
        seen.add(name)


def _unreachable_routes(draft: Draft) -> None:
    """Routes that never see a request: in every group that serves them, one before them takes all of theirs."""
    views = {tuple(index for index, _ in routes_of(group, draft)): None for group in draft.node_groups}
    takers: defaultdict[int, list[int | None]] = defaultdict(list)
    for view in views:
        earlier = RouteIndex()
        for index in view:
            match = draft.routes[index].match
            taker = earlier.covering(match)
            takers[index].append(taker)
            if taker is None:
                earlier.add(index, match)
    for index, found in takers.items():
        taken_by = [taker for taker in found if taker is not None]
        if len(taken_by) == len(found):
            _unreachable_route(index, taken_by[0], draft)


def _unreachable_route(index: int, taker: int, draft: Draft) -> None:
    name = quoted(draft.routes[taker].name)
    if draft.routes[taker].match == draft.routes[index].match:
        message, hint = f"this matches exactly what routes[{taker}] ({name}) matches", "remove one"
        draft.refuse(("routes", index, "match"), "duplicate-route", message, hint)
    else:
        message = f"no request gets here, for routes[{taker}] ({name}) takes them all"
        draft.refuse(("routes", index, "match"), "unreachable-route", message, "put the narrower route first")


def _scopes_without_tokens(draft: Draft) -> None:
    """Scopes on a route that no token opens: nobody could ever come in, or everybody would."""
    tokens = {
        provider.name
        for provider in draft.identity_providers
        if isinstance(provider, JwtProvider) or (isinstance(provider, ApiKeyProvider) and provider.managed)
    }
    for index, route in enumerate(draft.routes):
        if route.scopes and not tokens.intersection(route.identified_by):
            message = "scopes are granted by tokens and by managed keys, and no provider of the route takes either"
            draft.refuse(
                ("routes", index, "scopes"), "scopes-without-tokens", message, "add a jwt provider to authenticate"
            )


def _authorize_without_identity(draft: Draft) -> None:
    """Conditions that nobody is asked, or that no caller could meet."""
    tokens = {provider.name for provider in draft.identity_providers if isinstance(provider, JwtProvider)}
    for index, route in enumerate(draft.routes):
        if route.authorization is None:
            continue
        path: Path = ("routes", index, "authorize")
        if not route.authenticate:
            message = "the route is open to all: nobody is asked who they are"
            draft.refuse(path, "authorize-without-identity", message, "add authenticate")
        elif route.authorization.asks_token and not tokens.intersection(route.identified_by):
            message = "roles and claims stand in tokens, and no provider of the route takes tokens"
            draft.refuse(path, "authorize-without-tokens", message, "add a jwt provider to authenticate")


def _forwarding_without_tokens(draft: Draft) -> None:
    """A word about tokens on a route that looks at none."""
    tokens = {provider.name for provider in draft.identity_providers if isinstance(provider, JwtProvider)}
    for index, route in enumerate(draft.routes):
        if route.forward_token is not None and not tokens.intersection(route.authenticate):
            message = "no provider of the route takes tokens, so none is looked at"
            draft.refuse(
                ("routes", index, "forward_token"),
                "forward-without-tokens",
                message,
                "add a jwt provider to authenticate",
            )


def _credentials_in_one_place(draft: Draft) -> None:
    """Providers that all have to vouch, and would all need the same place for another text."""
    providers = {provider.name: provider for provider in draft.identity_providers}
    for index, route in enumerate(draft.routes):
        if not route.authenticate_all:
            continue
        seen: dict[object, str] = {}
        for position, name in enumerate(route.authenticate):
            place = _place_of(providers[name]) if name in providers else name
            if place in seen:
                message = (
                    f"{quoted(seen[place])} and {quoted(name)} look in the same place: no request can satisfy both"
                )
                hint = "give one of them another token_from or header"
                draft.refuse(("routes", index, "authenticate", position), "same-place", message, hint)
            seen.setdefault(place, name)


def _place_of(provider: IdentityProvider) -> object:
    if isinstance(provider, ApiKeyProvider):
        return provider.header
    return provider.token_from
