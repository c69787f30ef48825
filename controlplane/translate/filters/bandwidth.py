"""How fast bodies pass, off unless a route says so: two filters, for Envoy's has one bucket for both directions."""

from __future__ import annotations

from typing import Literal

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.bandwidth_limit.v3.bandwidth_limit_pb2 import BandwidthLimit
from google.protobuf.wrappers_pb2 import UInt64Value

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import packed

_KIB = 1 << 10


class BandwidthFilter:
    """Lets bodies of one direction wait."""

    is_optional = True

    def __init__(self, direction: Literal["requests", "responses"]) -> None:
        self.name = names.bandwidth_filter(direction)
        self._direction = direction

    def on_connection_manager(self) -> BandwidthLimit:
        """No route uses this."""
        return BandwidthLimit(stat_prefix=self._direction)

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's own bucket."""
        by_requests = self._direction == "requests"
        rate = context.route.bandwidth.requests if by_requests else context.route.bandwidth.responses
        if rate is None:
            return None
        limit = BandwidthLimit(
            stat_prefix=self._direction,
            enable_mode=BandwidthLimit.REQUEST if by_requests else BandwidthLimit.RESPONSE,
            limit_kbps=UInt64Value(value=rate // _KIB),
        )
        return FilterConfig(config=packed(limit))

    def on_own_route(self) -> None:
        """Envoy's own answers are small."""
