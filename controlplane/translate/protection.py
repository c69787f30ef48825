"""What protects an upstream: bulkhead limits, the breaker that opens, active health checks."""

from __future__ import annotations

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.type.v3.http_pb2 import CodecClientType
from envoy.type.v3.percent_pb2 import Percent
from envoy.type.v3.range_pb2 import Int64Range
from google.protobuf.wrappers_pb2 import UInt32Value

from controlplane import model
from controlplane.translate.wellknown import duration, false, true, uint32

_SWEEP_SECONDS = 1.0
_RATE_SECONDS = 5.0
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
    if breaker.retry_budget is not None:
        budget = CircuitBreakers.Thresholds.RetryBudget(
            budget_percent=Percent(value=breaker.retry_budget * 100),
            min_retry_concurrency=uint32(breaker.max_retries),
        )
        thresholds.retry_budget.CopyFrom(budget)
    return CircuitBreakers(thresholds=[thresholds])


def outlier_detection(breaker: model.CircuitBreaker) -> OutlierDetection | None:
    """The breaker: it opens for an endpoint after failures in a row, and closes ``open_for`` seconds later.

    An endpoint that fails again at once stays out longer each time, five minutes at most. All endpoints may be out at
    once: with the panic threshold at 0 that is 503 without a try.
    """
    failures, gateway, rate = breaker.consecutive_failures, breaker.gateway_failures, breaker.failure_rate
    if failures is None and gateway is None and rate is None:
        return None
    least = min((count for count in (failures, gateway) if count is not None), default=None)
    found = OutlierDetection(
        enforcing_consecutive_5xx=_enforced(failures),
        enforcing_consecutive_gateway_failure=_enforced(gateway),
        # Connections that fail count by themselves: a 5xx between them must not start the count anew.
        split_external_local_origin_errors=True,
        enforcing_consecutive_local_origin_failure=_enforced(least),
        enforcing_failure_percentage=_enforced(rate),
        enforcing_failure_percentage_local_origin=_enforced(rate),
        enforcing_success_rate=_enforced(None),
        enforcing_local_origin_success_rate=_enforced(None),
        max_ejection_percent=uint32(round(breaker.max_ejected * 100)),
        always_eject_one_host=true(),
        base_ejection_time=duration(breaker.open_for),
        # Endpoints return when Envoy looks, and it looks this often; rates are those of the time between.
        interval=duration(_RATE_SECONDS if rate is not None else min(_SWEEP_SECONDS, breaker.open_for)),
        # A health page that answers says nothing of the requests that fail.
        successful_active_health_check_uneject_host=false(),
    )
    if failures is not None:
        found.consecutive_5xx.CopyFrom(uint32(failures))
    if gateway is not None:
        found.consecutive_gateway_failure.CopyFrom(uint32(gateway))
    if least is not None:
        found.consecutive_local_origin_failure.CopyFrom(uint32(least))
    if rate is not None:
        found.failure_percentage_threshold.CopyFrom(uint32(round(rate * 100)))
        found.failure_percentage_request_volume.CopyFrom(uint32(breaker.failure_requests))
        found.failure_percentage_minimum_hosts.CopyFrom(uint32(1))
    return found


def _enforced(asked: float | None) -> UInt32Value:
    return uint32(0 if asked is None else 100)


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
            **_question(check, upstream),
        )
    ]


def _question(check: model.HealthCheck, upstream: model.Upstream) -> dict[str, object]:
    if check.kind == "tcp":
        return {"tcp_health_check": HealthCheck.TcpHealthCheck()}
    if check.kind == "grpc":
        asked = HealthCheck.GrpcHealthCheck(service_name=check.path, authority=check.host or "")
        return {"grpc_health_check": asked}
    http = HealthCheck.HttpHealthCheck(
        path=check.path,
        host=check.host or "",
        expected_statuses=[Int64Range(start=first, end=last + 1) for first, last in check.statuses],
        codec_client_type=CodecClientType.HTTP2 if upstream.http2 else CodecClientType.HTTP1,
    )
    return {"http_health_check": http}
