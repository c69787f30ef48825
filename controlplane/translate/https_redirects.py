"""The route table of listeners that send clients to HTTPS, except for what certificate authorities ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RedirectAction, Route, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.translate import filter_order, names
from servicekit.contracts.data_plane import HTTPS_REDIRECT_ROUTE, RESERVED_PREFIX, UNMATCHED_ROUTE

CHALLENGES: Final = "/.well-known/acme-challenge/"
"""What proves to a certificate authority whose name this is, asked in the clear (RFC 8555 §8.3)."""

_HTTPS_PORT = 443
_CODES = {301: RedirectAction.MOVED_PERMANENTLY, 308: RedirectAction.PERMANENT_REDIRECT}


def may_answer_challenges(route: model.Route) -> bool:
    """Whether ``route`` could take a request below :data:`CHALLENGES`."""
    path = route.match.path
    if path.kind in ("template", "regex"):
        return True
    if path.kind == "exact":
        return path.value.startswith(CHALLENGES)
    below = path.value if path.value.endswith("/") else path.value + "/"
    return CHALLENGES.startswith(below) or below.startswith(CHALLENGES)


def redirecting(table: RouteConfiguration, redirect: model.HttpsRedirect) -> RouteConfiguration:
    """``table``, made of routes that may answer challenges, for challenges alone; the rest is sent to HTTPS."""
    hosts = [_virtual_host(host, redirect) for host in table.virtual_hosts]
    own = RouteConfiguration.FromString(table.SerializeToString())
    own.name = names.https_redirects(redirect.port, redirect.status)
    del own.virtual_hosts[:]
    own.virtual_hosts.extend(hosts)
    return own


def _virtual_host(host: VirtualHost, redirect: model.HttpsRedirect) -> VirtualHost:
    kept = [_narrowed(route) for route in host.routes if route.name != UNMATCHED_ROUTE]
    return VirtualHost(name=host.name, domains=host.domains, routes=[*kept, *_redirects(redirect)])


def _narrowed(route: Route) -> Route:
    """For challenges only; Envoy's own answer to ``/health`` stays, since balancers ask in the clear."""
    if not route.name.startswith(RESERVED_PREFIX):
        route = Route.FromString(route.SerializeToString())
        route.match.headers.append(HeaderMatcher(name=":path", string_match=StringMatcher(prefix=CHALLENGES)))
    return route


def _redirects(redirect: model.HttpsRedirect) -> Iterator[Route]:
    if redirect.port == _HTTPS_PORT:
        # Envoy would keep the port of HTTP where a client has named it, and append :443 where it has not.
        regex = RegexMatcher(regex=".*:[0-9]*")
        port_named = HeaderMatcher(name=":authority", string_match=StringMatcher(safe_regex=regex))
        yield _redirect(RouteMatch(prefix="/", headers=[port_named]), redirect, redirect.port)
        yield _redirect(RouteMatch(prefix="/"), redirect, 0)
    else:
        yield _redirect(RouteMatch(prefix="/"), redirect, redirect.port)


def _redirect(match: RouteMatch, redirect: model.HttpsRedirect, port: int) -> Route:
    action = RedirectAction(https_redirect=True, port_redirect=port, response_code=_CODES[redirect.status])
    return Route(
        name=HTTPS_REDIRECT_ROUTE,
        match=match,
        redirect=action,
        typed_per_filter_config=filter_order.on_own_route(),
    )
