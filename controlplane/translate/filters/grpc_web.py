"""gRPC-Web: what pages in browsers can say of gRPC, off unless the route says so."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from google.protobuf.any_pb2 import Any

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext


class GrpcWebFilter:
    """Makes gRPC of what comes in it, and what it was of the answer, trailers too; other requests pass as they are."""

    name = names.GRPC_WEB_FILTER
    is_optional = True

    def on_connection_manager(self) -> GrpcWeb:
        """There is nothing to choose."""
        return GrpcWeb()

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """Switched on: an empty ``Any``, for the filter has no configuration of a route."""
        return FilterConfig(config=Any()) if context.route.grpc_web else None

    def on_own_route(self) -> None:
        """Nobody asks for them in gRPC."""
