"""As many requests at a time as are answered in time; of a listener, for Envoy's filter knows no routes."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.adaptive_concurrency.v3.adaptive_concurrency_pb2 import (
    AdaptiveConcurrency,
    GradientControllerConfig,
)
from envoy.type.v3.percent_pb2 import Percent

from controlplane import model
from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration, uint32

_UPDATE_SECONDS = 0.1


class AdaptiveConcurrencyFilter:
    """Answers 503 to what is too much. Stands in the chains of listeners that ask for it."""

    name = names.ADAPTIVE_CONCURRENCY_FILTER
    is_optional = False

    def on_connection_manager(self) -> AdaptiveConcurrency:
        """No listener uses this."""
        return AdaptiveConcurrency()

    def on_listener(self, listener: model.Listener) -> AdaptiveConcurrency | None:
        """The listener's own figures; ``None`` has no place in its chain."""
        rules = listener.adaptive_concurrency
        if rules is None:
            return None
        config = GradientControllerConfig
        return AdaptiveConcurrency(
            gradient_controller_config=config(
                sample_aggregate_percentile=Percent(value=50),
                concurrency_limit_params=config.ConcurrencyLimitCalculationParams(
                    max_concurrency_limit=uint32(rules.max), concurrency_update_interval=duration(_UPDATE_SECONDS)
                ),
                # Said and not measured: to measure it, Envoy refuses nearly everybody every minute.
                min_rtt_calc_params=config.MinimumRTTCalculationParams(
                    fixed_value=duration(rules.latency),
                    min_concurrency=uint32(rules.min),
                    buffer=Percent(value=rules.tolerance * 100),
                ),
            )
        )

    def on_route(self, context: RouteContext) -> None:
        """All routes of the listener together."""

    def on_own_route(self) -> FilterConfig:
        """Who asks for the gateway's health is told, and says nothing of upstreams."""
        return FilterConfig(disabled=True)
