"""The largest body of a request, off unless a route says one: it is read whole before the upstream hears of it."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.buffer.v3.buffer_pb2 import Buffer, BufferPerRoute

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import packed, uint32


class BufferFilter:
    """Answers 413 to what is larger."""

    name = names.BUFFER_FILTER
    is_optional = True

    def on_connection_manager(self) -> Buffer:
        """No route uses this."""
        return Buffer(max_request_bytes=uint32(1))

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's bound."""
        if context.route.max_body is None:
            return None
        bound = BufferPerRoute(buffer=Buffer(max_request_bytes=uint32(context.route.max_body)))
        return FilterConfig(config=packed(bound))

    def on_own_route(self) -> None:
        """Envoy's own answers read no body."""
