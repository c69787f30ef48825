"""From the resolved gateway to the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from controlplane.model import Gateway, Route, Upstream
from controlplane.translate import names
from controlplane.translate.auth_rules import RuleBook
from controlplane.translate.clusters import cluster, uses_eds
from controlplane.translate.endpoints import load_assignment
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.listeners import listener
from controlplane.translate.policies import auth_policy, identity_headers, limit_policy
from controlplane.translate.routes import route_configuration
from controlplane.xds.snapshot import Resource, Snapshot, encode_message


def translate(gateway: Gateway) -> Snapshot:
    """Everything that Envoy and the services need for ``gateway``. Equal gateways give equal snapshots."""
    return Snapshot.of(_resources(gateway))


def _resources(gateway: Gateway) -> Iterator[Resource]:
    headers = identity_headers(gateway.identity_providers)
    book = RuleBook(gateway.identity_providers)
    contexts = _contexts(gateway, book)
    for source in gateway.listeners:
        yield encode_message(names.listener(source.name), listener(source, headers))
    yield encode_message(names.ROUTES, route_configuration(contexts))
    for upstream in _used(gateway):
        yield encode_message(names.cluster(upstream.name), cluster(upstream))
        if uses_eds(upstream):
            yield encode_message(names.cluster(upstream.name), load_assignment(upstream))
    yield auth_policy(book, headers)
    yield limit_policy(gateway.rate_limits)


def _contexts(gateway: Gateway, book: RuleBook) -> list[RouteContext]:
    limits = {limit.name: limit for limit in gateway.rate_limits}

    def context(route: Route) -> RouteContext:
        return RouteContext(
            route=route,
            auth_rule=book.rule_for(route.authenticate, route.scopes),
            limits=tuple(limits[name] for name in route.rate_limits),
        )

    return [context(route) for route in gateway.routes]


def _used(gateway: Gateway) -> Iterator[Upstream]:
    """Upstreams that a route names: a cluster without traffic would still connect and be health-checked."""
    named = {route.upstream for route in gateway.routes}
    return (upstream for upstream in gateway.upstreams if upstream.name in named)
