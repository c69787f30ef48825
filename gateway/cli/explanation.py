"""Why one request is let through or not: which route of a document takes it, and what ext_authz decides of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlsplit

from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthzPerRoute
from google.protobuf.any_pb2 import Any as ProtobufAny

from controlplane.model import Gateway
from controlplane.routing import Asked, UnsupportedMatchError, find_route
from controlplane.translate import SERVICES, Release, names, translate_release
from ext_authz.authorization import RequestFacts
from ext_authz.errors import PolicyError
from ext_authz.explanation import Explanation, Outcome, explain
from ext_authz.key_fetcher import HttpKeyFetcher
from ext_authz.steps import Step
from ext_authz.token_places import DEFAULT_PLACES
from gateway.errors import CommandError
from servicekit.contracts import ApiKeyProvider, AuthPolicy, JwtProvider, TokenPlace
from servicekit.contracts.auth_policy import RULE_EXTENSION
from servicekit.contracts.data_plane import HEALTH_ROUTE, UNMATCHED_ROUTE
from servicekit.secret_reference import opened_secrets
from servicekit.settings import SecretsSettings, load_settings

_LOOKED_UP_HERE: Final = "what a document names as env: or file: is looked up where this command runs"

_ROUTES_TYPE: Final = f"type.googleapis.com/{RouteConfiguration.DESCRIPTOR.full_name}"
_NO_HOST: Final = "localhost"
_NO_URL: Final = "write the URL as http://HOST/PATH, or the path alone"
_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, and who shows what."""

    method: str
    url: str
    """Whole, or a path alone."""
    headers: Mapping[str, str]
    token: str | None
    """A token or an API key, shown where the route's first provider looks for it."""
    client_ip: str
    key_sets: Mapping[str, str]
    """JWK Sets by provider, in place of those that would be fetched; under an empty name, of all others."""
    fetch: bool
    """Whether identity providers may be asked for their keys."""
    group: str | None
    """The node group whose routes are meant; the first one when it is ``None``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of the request."""

    method: str
    host: str
    path: str
    route: str | None
    """``None`` when no route was looked for."""
    rule: str | None
    providers: tuple[str, ...]
    """Any one of these is enough."""
    shown_in: str
    """Where the token was put; empty when the headers say it."""
    steps: tuple[Step, ...]
    outcome: Outcome | None
    """``None`` when ext_authz is not asked."""
    why_not: str
    """Why it is not asked."""


def ask(gateway: Gateway, question: Question) -> Told:
    """What happens to the request.

    Raises:
        CommandError: that can't be told, or the question makes no sense.
    """
    release = translate_release(gateway)
    policy = _policy(release)
    host, target = _target(question.url)
    asked = Asked.of(question.method, host, target, question.headers, hidden=policy.identity_headers)
    if asked is None:
        return _unasked(question, host, target, None, "Envoy answers 400: the path has an escaped slash or is none")
    try:
        route = find_route(_routes(release, question.group), asked)
    except UnsupportedMatchError as error:
        raise CommandError(str(error)) from None
    if route is None or route.name == UNMATCHED_ROUTE:
        return _unasked(question, asked.host, asked.path, None, "no route takes it: Envoy answers 404")
    rule_id = _rule_of(route)
    if rule_id is None:
        why = "the gateway answers it itself" if route.name == HEALTH_ROUTE else "the route is open to all"
        return _unasked(question, asked.host, asked.path, route.name, why)
    return _decided(question, asked, route.name, rule_id, policy)


def _decided(question: Question, asked: Asked, route: str, rule_id: str, policy: AuthPolicy) -> Told:
    providers = policy.rules[rule_id].any_of
    place = _first_place(policy, providers)
    shown = asked if question.token is None else _with_token(asked, place, question.token)
    facts = RequestFacts(shown.method, question.client_ip, shown.path)
    try:
        explanation = asyncio.run(_explained(_with_keys(policy, question.key_sets), rule_id, shown, facts, question))
    except PolicyError as error:
        hint = f" ({_LOOKED_UP_HERE})" if _names_secrets(policy, providers) else ""
        raise CommandError(f"ext_authz would refuse the policy of this document: {error}{hint}") from None
    return Told(
        method=asked.method,
        host=asked.host,
        path=asked.path,
        route=route,
        rule=rule_id,
        providers=providers,
        shown_in=f"{place.kind} {place.name}" if question.token is not None else "",
        steps=explanation.steps,
        outcome=explanation.outcome,
        why_not="",
    )


async def _explained(
    policy: AuthPolicy, rule_id: str, shown: Asked, facts: RequestFacts, question: Question
) -> Explanation:
    fetcher = HttpKeyFetcher() if question.fetch else None
    try:
        secrets = opened_secrets(load_settings(SecretsSettings).secrets_dir)
        return await explain(policy, rule_id, shown.headers, facts, fetcher=fetcher, secrets=secrets)
    finally:
        if fetcher is not None:
            await fetcher.aclose()


def _names_secrets(policy: AuthPolicy, names: Iterable[str]) -> bool:
    asked = (provider for provider in policy.providers if provider.name in names)
    return any(isinstance(provider, JwtProvider) and (provider.secret or provider.jwks_file) for provider in asked)


def _unasked(question: Question, host: str, path: str, route: str | None, why: str) -> Told:
    return Told(
        method=question.method,
        host=host,
        path=path,
        route=route,
        rule=None,
        providers=(),
        shown_in="",
        steps=(),
        outcome=None,
        why_not=why,
    )


def _target(url: str) -> tuple[str, str]:
    """Host, and path with query, as a client sends them."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise CommandError(_NO_URL) from None
    if parts.scheme not in ("", "http", "https") or (parts.scheme and not parts.netloc):
        raise CommandError(_NO_URL)
    path = quote(parts.path or "/", safe=_SAFE, errors="surrogateescape")
    query = f"?{quote(parts.query, safe=_SAFE, errors='surrogateescape')}" if parts.query else ""
    return parts.netloc.rpartition("@")[2] or _NO_HOST, path + query


def _policy(release: Release) -> AuthPolicy:
    (resource,) = release.services.of_type(AuthPolicy.TYPE_URL).values()
    return AuthPolicy.decode(ProtobufAny.FromString(resource.body).value)


def _routes(release: Release, group: str | None) -> RouteConfiguration:
    wanted = group or release.node_groups[0].name
    if wanted not in release.groups or wanted == SERVICES:
        raise CommandError(f"there is no node group {wanted!r}: there are {', '.join(release.groups)}")
    resource = release.groups[wanted].of_type(_ROUTES_TYPE).get(names.ROUTES)
    if resource is None:
        raise CommandError(f"no listener of the node group {wanted!r} serves routes: all redirect, or pass bytes on")
    config = RouteConfiguration()
    ProtobufAny.FromString(resource.body).Unpack(config)
    return config


def _rule_of(route: Route) -> str | None:
    """What the route says to ext_authz, if that is asked."""
    settings = ExtAuthzPerRoute()
    route.typed_per_filter_config[names.EXT_AUTHZ_FILTER].Unpack(settings)
    return None if settings.disabled else str(settings.check_settings.context_extensions[RULE_EXTENSION])


def _first_place(policy: AuthPolicy, providers: Iterable[str]) -> TokenPlace:
    known = {provider.name: provider for provider in policy.providers}
    first = known[next(iter(providers))]
    if isinstance(first, ApiKeyProvider):
        return TokenPlace(kind="header", name=first.header)
    return (first.token_from or DEFAULT_PLACES)[0]


def _with_token(asked: Asked, place: TokenPlace, token: str) -> Asked:
    """The request with the token in it, beside whatever is there already."""
    if place.kind == "query":
        mark = "&" if "?" in asked.path else "?"
        return replace(asked, path=f"{asked.path}{mark}{place.name}={token}")
    if place.kind == "cookie":
        others = asked.headers.get("cookie")
        cookies = f"{others}; {place.name}={token}" if others else f"{place.name}={token}"
        return replace(asked, headers={**asked.headers, "cookie": cookies})
    value = place.prefix + token
    others = asked.headers.get(place.name)
    return replace(asked, headers={**asked.headers, place.name: f"{others},{value}" if others else value})


def _with_keys(policy: AuthPolicy, key_sets: Mapping[str, str]) -> AuthPolicy:
    named = {provider.name for provider in policy.providers if isinstance(provider, JwtProvider)}
    unknown = sorted(name for name in key_sets if name and name not in named)
    if unknown:
        raise CommandError(f"no provider of tokens is called {unknown[0]!r}: there are {', '.join(sorted(named))}")
    return policy.model_copy(
        update={"providers": tuple(_given_keys(provider, key_sets) for provider in policy.providers)}
    )


def _given_keys(provider: JwtProvider | ApiKeyProvider, key_sets: Mapping[str, str]) -> JwtProvider | ApiKeyProvider:
    if isinstance(provider, ApiKeyProvider):
        return provider
    if provider.secret is not None or provider.introspection is not None:  # no key takes its place
        return provider
    common = key_sets.get("") if provider.jwks is None and provider.pem is None else None
    given = key_sets.get(provider.name, common)
    instead = {"jwks": given, "jwks_file": None, "pem": None, "discovery": False}
    return provider if given is None else provider.model_copy(update=instead)
