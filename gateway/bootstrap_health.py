"""Envoy's own health and metrics listener: four paths of the admin interface, and nothing else of it."""

from __future__ import annotations

from datetime import timedelta

import envoy_data_plane.envoy.config.core.v3 as core_v3
import envoy_data_plane.envoy.config.listener.v3 as listener_v3
import envoy_data_plane.envoy.config.route.v3 as route_v3
import envoy_data_plane.envoy.extensions.filters.http.router.v3 as router_v3
import envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 as hcm_v3
import envoy_data_plane.envoy.type.matcher.v3 as matcher_v3
from envoy_data_plane.google.protobuf import Any

from gateway.bootstrap_clusters import to_envoy
from servicekit.address import Address
from servicekit.contracts.data_plane import ADMIN_CLUSTER, HEALTH_LISTENER

_TIMEOUT = timedelta(seconds=5)
_READING = matcher_v3.StringMatcher(safe_regex=matcher_v3.RegexMatcher(regex="GET|HEAD"))

_ADMIN_PATHS = (("/health/ready", "/ready"), ("/health/startup", "/ready"), ("/metrics", "/stats/prometheus"))


def health_listener(address: Address) -> listener_v3.Listener:
    """A listener on ``address``. It goes on answering when connections or memory run out."""
    manager = hcm_v3.HttpConnectionManager(
        stat_prefix=HEALTH_LISTENER,
        route_config=route_v3.RouteConfiguration(
            name=HEALTH_LISTENER,
            virtual_hosts=[route_v3.VirtualHost(name=HEALTH_LISTENER, domains=["*"], routes=_routes())],
        ),
        http_filters=[hcm_v3.HttpFilter(name="envoy.filters.http.router", typed_config=Any.pack(router_v3.Router()))],
        use_remote_address=True,
        normalize_path=True,
        stream_idle_timeout=_TIMEOUT,
        request_headers_timeout=_TIMEOUT,
    )
    network_filter = listener_v3.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=Any.pack(manager)
    )
    return listener_v3.Listener(
        name=HEALTH_LISTENER,
        address=to_envoy(address),
        filter_chains=[listener_v3.FilterChain(filters=[network_filter])],
        ignore_global_conn_limit=True,
        bypass_overload_manager=True,  # who restarts an Envoy because it sheds load makes it worse
    )


def _routes() -> list[route_v3.Route]:
    live = route_v3.Route(
        match=_match("/health/live"),
        direct_response=route_v3.DirectResponseAction(status=200, body=core_v3.DataSource(inline_string="live\n")),
    )
    return [live, *(_to_admin(path, admin_path) for path, admin_path in _ADMIN_PATHS)]


def _to_admin(path: str, admin_path: str) -> route_v3.Route:
    action = route_v3.RouteAction(cluster=ADMIN_CLUSTER, prefix_rewrite=admin_path, timeout=_TIMEOUT)
    return route_v3.Route(match=_match(path), route=action)


def _match(path: str) -> route_v3.RouteMatch:
    return route_v3.RouteMatch(path=path, headers=[route_v3.HeaderMatcher(name=":method", string_match=_READING)])
