"""The route table: hosts to virtual hosts, the document's order kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from controlplane import model
from controlplane.model import PathMatch
from controlplane.translate import filter_order, header_changes, names, own_routes
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.preflights import UPSTREAMS_OWN, preflights, vary
from controlplane.translate.route_action import direct_response, redirect_action, route_action
from controlplane.translate.route_match import route_match
from controlplane.translate.security_headers import complete
from servicekit.contracts.data_plane import QUOTA_HEADER

ANY_HOST = "*"


def route_configuration(contexts: Sequence[RouteContext], headers: Mapping[str, str]) -> RouteConfiguration:
    """The one route table of all listeners; every response has ``headers``.

    Envoy picks the most specific virtual host and looks at no other, so each has all routes whose hosts cover it.
    """
    built = [(context, _routes(context)) for context in contexts]
    domains = {ANY_HOST, *chain.from_iterable(context.route.match.hosts for context in contexts)}
    table = RouteConfiguration(
        name=names.ROUTES,
        ignore_port_in_host_matching=True,
        virtual_hosts=[_virtual_host(domain, built) for domain in sorted(domains)],
    )
    complete(table, headers)
    return table


def covers(pattern: str, domain: str) -> bool:
    """Whether every host of ``domain`` (itself a host or a pattern) is one of ``pattern``."""
    if pattern in (ANY_HOST, domain):
        return True
    return pattern.startswith("*.") and domain.endswith(pattern[1:])


def _virtual_host(domain: str, built: Iterable[tuple[RouteContext, Sequence[Route]]]) -> VirtualHost:
    mine = [(c, routes) for c, routes in built if any(covers(pattern, domain) for pattern in c.route.match.hosts)]
    health_path = PathMatch(kind="exact", value=own_routes.HEALTH_PATH)
    taken = any(context.route.match.path == health_path for context, _ in mine)
    routes = [] if taken else [own_routes.health()]
    return VirtualHost(
        name=names.virtual_host(domain),
        domains=[domain],
        routes=[*routes, *chain.from_iterable(ours for _, ours in mine), own_routes.unmatched()],
    )


def _routes(context: RouteContext) -> list[Route]:
    built = _route(context)
    return [*preflights(context, built.route), built]


def _route(context: RouteContext) -> Route:
    route = context.route
    return Route(
        name=route.name,
        match=route_match(route.match),
        typed_per_filter_config=filter_order.on_route(context),
        request_headers_to_add=header_changes.added(route.request_headers),
        request_headers_to_remove=[*route.request_headers.remove, *([QUOTA_HEADER] if route.quota else [])],
        response_headers_to_add=[
            *_content_type(route.action),
            *vary(route.cors),
            *header_changes.added(route.response_headers),
        ],
        response_headers_to_remove=[*(UPSTREAMS_OWN if route.cors else ()), *route.response_headers.remove],
        **_action(context),
    )


def _action(context: RouteContext) -> dict[str, object]:
    route = context.route
    if isinstance(route.action, model.Respond):
        return {"direct_response": direct_response(route.action)}
    if isinstance(route.action, model.Redirect):
        return {"redirect": redirect_action(route.match.path, route.action)}
    return {"route": route_action(route, route.action, context.clusters)}


def _content_type(action: model.Action) -> list[HeaderValueOption]:
    if not isinstance(action, model.Respond) or not action.body:
        return []
    return header_changes.added(model.HeaderChanges(set={"content-type": (action.content_type,)}))
