"""Who may use a route, by IP address; off unless the route says so."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute

from controlplane.translate import names
from controlplane.translate.address_rules import by_client
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import packed


class AddressRulesFilter:
    """Answers 403 to others."""

    name = names.ADDRESS_RULES_FILTER
    is_optional = True

    def on_connection_manager(self) -> RBAC:
        """No rules."""
        return RBAC()

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's ranges."""
        if context.route.addresses is None:
            return None
        return FilterConfig(config=packed(RBACPerRoute(rbac=RBAC(rules=by_client(context.route.addresses)))))

    def on_own_route(self) -> None:
        """Envoy's own answers are for everybody."""
