"""The routes that Envoy answers by itself: health, and no such route."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, Route, RouteMatch

from controlplane.translate import filter_order
from servicekit.contracts.data_plane import HEALTH_ROUTE, UNMATCHED_ROUTE

HEALTH_PATH = "/health"


def health() -> Route:
    """200 for whoever asks whether the gateway itself is there."""
    return Route(
        name=HEALTH_ROUTE,
        match=RouteMatch(path=HEALTH_PATH),
        direct_response=DirectResponseAction(status=200, body=DataSource(inline_string='{"status":"ok"}')),
        response_headers_to_add=[
            HeaderValueOption(
                header=HeaderValue(key="content-type", value="application/json"),
                append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
            )
        ],
        typed_per_filter_config=filter_order.on_own_route(),
    )


def unmatched() -> Route:
    """404 for the rest. Without it a request that no route takes would still be sent to ext_authz."""
    return Route(
        name=UNMATCHED_ROUTE,
        match=RouteMatch(prefix="/"),
        direct_response=DirectResponseAction(status=404),
        typed_per_filter_config=filter_order.on_own_route(),
    )
