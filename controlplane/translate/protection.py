"""What protects an upstream: bulkhead limits, the breaker that opens, active health checks."""

from __future__ import annotations

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.type.v3.http_pb2 import CodecClientType
from envoy.type.v3.range_pb2 import Int64Range

from controlplane import model
from controlplane.translate.wellknown import duration, false, uint32

_SWEEP_SECONDS = 1.0
_JITTER_PERCENT = 10


def circuit_breakers(breaker: model.CircuitBreaker) -> CircuitBreakers:
    """How much of the gateway one upstream may hold. What is left is counted, for the metrics."""
    thresholds = CircuitBreakers.Thresholds(
        max_connections=uint32(breaker.max_connections),
        max_pending_requests=uint32(breaker.max_pending_requests),
        max_requests=uint32(breaker.max_requests),
        max_retries=uint32(breaker.max_retries),
        track_remaining=True,
    )
    return CircuitBreakers(thresholds=[thresholds])


def outlier_detection(breaker: model.CircuitBreaker) -> OutlierDetection | None:
    """The breaker: it opens for an endpoint after failures in a row, and closes ``open_for`` seconds later.

    An endpoint that fails again at once stays out longer each time, five minutes at most. All endpoints may be out at
    once: with the panic threshold at 0 that is 503 without a try.
    """
    if breaker.consecutive_failures is None:
        return None
    failures, always, never = uint32(breaker.consecutive_failures), uint32(100), uint32(0)
    return OutlierDetection(
        consecutive_5xx=failures,
        enforcing_consecutive_5xx=always,
        # Connections that fail count by themselves: a 5xx between them must not start the count anew.
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=failures,
        enforcing_consecutive_local_origin_failure=always,
        enforcing_success_rate=never,
        enforcing_local_origin_success_rate=never,
        max_ejection_percent=always,
        base_ejection_time=duration(breaker.open_for),
        # Endpoints return when Envoy looks, and it looks this often.
        interval=duration(min(_SWEEP_SECONDS, breaker.open_for)),
        # A health page that answers says nothing of the requests that fail.
        successful_active_health_check_uneject_host=false(),
    )


def health_checks(upstream: model.Upstream) -> list[HealthCheck]:
    """The active check, as often without traffic as with it."""
    check = upstream.health_check
    if check is None:
        return []
    return [
        HealthCheck(
            interval=duration(check.interval),
            no_traffic_interval=duration(check.interval),
            interval_jitter_percent=_JITTER_PERCENT,
            timeout=duration(check.timeout),
            unhealthy_threshold=uint32(check.unhealthy_threshold),
            healthy_threshold=uint32(check.healthy_threshold),
            http_health_check=HealthCheck.HttpHealthCheck(
                path=check.path,
                expected_statuses=[Int64Range(start=200, end=300)],
                codec_client_type=CodecClientType.HTTP2 if upstream.http2 else CodecClientType.HTTP1,
            ),
        )
    ]
