"""The router: load balancing, circuit breaker, retry, time-out."""

from __future__ import annotations

from envoy.extensions.filters.http.router.v3.router_pb2 import Router

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext


class RouterFilter:
    """Ends every chain. What it does on a route is the route's action."""

    name = names.ROUTER_FILTER
    is_optional = False

    def on_connection_manager(self) -> Router:
        """Neither clients nor backends see ``x-envoy-*`` headers that tell of the inside."""
        return Router(suppress_envoy_headers=True)

    def on_route(self, context: RouteContext) -> None:
        """Nothing: see ``route_action``."""

    def on_own_route(self) -> None:
        """Nothing."""
