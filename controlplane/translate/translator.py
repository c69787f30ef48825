"""From the resolved gateway to snapshots: one for each view of it, and one for the services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controlplane.model import Gateway, Listener, Route, Upstream, upstreams_of
from controlplane.translate import listener_tls, names, upstream_tls
from controlplane.translate.auth_rules import RuleBook
from controlplane.translate.clusters import chain_of, cluster, fallback_cluster, uses_eds
from controlplane.translate.endpoints import assignment_name, load_assignment
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.https_redirects import may_answer_challenges, redirecting
from controlplane.translate.listeners import listener
from controlplane.translate.policies import auth_policy, identity_headers, limit_policy
from controlplane.translate.routes import route_configuration
from controlplane.xds.snapshot import Resource, Snapshot, encode_message


class Translator:
    """Translates one gateway. What several views have in common is encoded once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        # Of the whole document: a header that names a caller on one route is believed by backends of the others.
        self._headers = identity_headers(gateway.identity_providers)
        self._book = RuleBook(gateway.identity_providers)
        by_name = {upstream.name: upstream for upstream in gateway.upstreams}
        self._chains = {name: chain_of(upstream, by_name) for name, upstream in by_name.items()}
        self._contexts = {context.route.name: context for context in self._of_routes()}
        self._listeners: dict[str, Resource] = {}
        self._upstreams: dict[str, tuple[Resource, ...]] = {}

    def group(self, listeners: Sequence[Listener], routes: Sequence[Route]) -> Snapshot:
        """What a node gets that serves ``routes`` on ``listeners``, and no upstream that none of them uses."""
        return Snapshot.of(self._resources(listeners, routes))

    def services(self) -> Snapshot:
        """What the services decide by, on every route of the gateway."""
        return Snapshot.of([auth_policy(self._book, self._headers), limit_policy(self._gateway.rate_limits)])

    def _resources(self, listeners: Sequence[Listener], routes: Sequence[Route]) -> Iterator[Resource]:
        for source in listeners:
            yield self._listener(source)
            yield from _secrets(source)
        yield from self._tables(listeners, routes)
        # A cluster without traffic would still connect and be health-checked.
        speaking = [source for source in listeners if not source.tcp]
        serving = any(source.redirect_to_https is None for source in speaking)
        served = [route for route in routes if serving or (speaking and may_answer_challenges(route))]
        passed = {way.upstream for source in listeners for way in source.tcp}
        chains = [
            self._chains[name] for name in passed.union(n for route in served for n in upstreams_of(route.action))
        ]
        used = {name for chain in chains for name in chain}
        for upstream in self._gateway.upstreams:
            if upstream.name in used:
                yield from self._upstream(upstream)
        for chain in chains:
            if len(chain) > 1:
                yield encode_message(names.fallback_chain(chain), fallback_cluster(chain))

    def _tables(self, listeners: Sequence[Listener], routes: Sequence[Route]) -> Iterator[Resource]:
        """The route table, and one for each way in which a listener sends clients to HTTPS."""
        headers = self._gateway.security_headers
        ways = dict.fromkeys(source.redirect_to_https for source in listeners if not source.tcp)
        for redirect in ways:
            if redirect is None:
                table = route_configuration([self._contexts[route.name] for route in routes], headers)
            else:
                open_to_challenges = [self._contexts[route.name] for route in routes if may_answer_challenges(route)]
                table = redirecting(route_configuration(open_to_challenges, headers), redirect)
            yield encode_message(table.name, table)

    def _listener(self, source: Listener) -> Resource:
        if source.name not in self._listeners:
            clusters = {way.upstream: names.fallback_chain(self._chains[way.upstream]) for way in source.tcp}
            built = listener(source, self._headers, self._gateway, clusters)
            self._listeners[source.name] = encode_message(names.listener(source.name), built)
        return self._listeners[source.name]

    def _upstream(self, upstream: Upstream) -> tuple[Resource, ...]:
        if upstream.name not in self._upstreams:
            name = names.cluster(upstream.name)
            endpoints = [_assignment(upstream)] if uses_eds(upstream) else []
            secrets = [encode_message(secret.name, secret) for secret in upstream_tls.secrets(upstream)]
            self._upstreams[upstream.name] = (encode_message(name, cluster(upstream)), *endpoints, *secrets)
        return self._upstreams[upstream.name]

    def _of_routes(self) -> Iterator[RouteContext]:
        limits = {limit.name: limit for limit in self._gateway.rate_limits}
        for route in self._gateway.routes:
            yield RouteContext(
                route=route,
                auth_rule=self._book.rule_for(route),
                limits=tuple(limits[name] for name in route.rate_limits),
                clusters={name: names.fallback_chain(self._chains[name]) for name in upstreams_of(route.action)},
                identity_headers=self._headers,
                response_headers=self._gateway.security_headers,
            )


def _assignment(upstream: Upstream) -> Resource:
    return encode_message(assignment_name(upstream), load_assignment(upstream))


def _secrets(source: Listener) -> Iterator[Resource]:
    if source.tls is not None:
        for secret in listener_tls.secrets(source.name, source.tls):
            yield encode_message(secret.name, secret)
