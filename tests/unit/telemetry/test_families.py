"""Envoy's samples become the gateway's families."""

from __future__ import annotations

import re

import pytest

from telemetry.exposition import Sample, parse, render
from telemetry.families import FILTER, WANTED, families

ENVOY = """
envoy_gateway_requests_total{method="GET",path="/api",status="200"} 7
envoy_gateway_request_duration_us_bucket{method="GET",path="/api",status="200",le="500"} 3
envoy_gateway_request_duration_us_bucket{method="GET",path="/api",status="200",le="2500000"} 7
envoy_gateway_request_duration_us_bucket{method="GET",path="/api",status="200",le="+Inf"} 7
envoy_gateway_request_duration_us_sum{method="GET",path="/api",status="200"} 1500000
envoy_gateway_request_duration_us_count{method="GET",path="/api",status="200"} 7
envoy_http_downstream_cx_active{gateway_listener="http"} 2
envoy_http_downstream_cx_active{gateway_listener="admin"} 1
envoy_http_downstream_cx_active{gateway_listener="gateway.health"} 1
envoy_cluster_membership_total{gateway_upstream="echo"} 2
envoy_cluster_membership_total{gateway_upstream="gateway.xds"} 1
envoy_cluster_outlier_detection_ejections_active{gateway_upstream="echo"} 1
envoy_cluster_circuit_breakers_default_cx_open{gateway_upstream="echo"} 0
envoy_cluster_circuit_breakers_default_rq_open{gateway_upstream="echo"} 1
"""


def shown(text: str) -> str:
    """The families of Envoy's ``text``, as they are served."""
    return render(families(parse(text, WANTED)))


def test_requests_keep_their_labels() -> None:
    """Counter by method, route and status."""
    assert 'gateway_requests_total{method="GET",path="/api",status="200"} 7.0' in shown(ENVOY).splitlines()


def test_durations_are_seconds() -> None:
    """Envoy counts microseconds: bounds and sum are divided, counts are not."""
    labels = 'method="GET",path="/api",status="200"'
    lines = shown(ENVOY).splitlines()
    assert f'gateway_request_duration_seconds_bucket{{{labels},le="0.0005"}} 3.0' in lines
    assert f'gateway_request_duration_seconds_bucket{{{labels},le="2.5"}} 7.0' in lines
    assert f'gateway_request_duration_seconds_bucket{{{labels},le="+Inf"}} 7.0' in lines
    assert f"gateway_request_duration_seconds_sum{{{labels}}} 1.5" in lines
    assert f"gateway_request_duration_seconds_count{{{labels}}} 7.0" in lines


def test_only_clients_connections_count() -> None:
    """Envoy's admin and health listeners are not the gateway's clients."""
    connections = [line for line in shown(ENVOY).splitlines() if line.startswith("gateway_active_connections")]
    assert connections == ['gateway_active_connections{listener="http"} 2.0']


def test_a_bucket_without_a_bound_is_left_out() -> None:
    """Rather than that one odd line takes the page away."""
    text = shown('envoy_gateway_request_duration_us_bucket{le="?"} 1\nenvoy_gateway_request_duration_us_count 1\n')
    assert "_bucket" not in text
    assert "gateway_request_duration_seconds_count 1.0" in text


@pytest.mark.parametrize(("ejected", "state"), [(0, 0), (1, 0), (2, 1)])
def test_the_failure_breaker_is_open_when_every_endpoint_is_out(ejected: int, state: int) -> None:
    """One endpoint of two that still answers keeps the breaker closed."""
    text = ENVOY.replace(
        'ejections_active{gateway_upstream="echo"} 1', f'ejections_active{{gateway_upstream="echo"}} {ejected}'
    )
    assert f'gateway_circuit_breaker_state{{upstream="echo",breaker="failures"}} {state}' in shown(text).splitlines()


def test_a_reached_limit_is_an_open_breaker_and_own_clusters_are_not_shown() -> None:
    """By limit; the clusters that lead to the gateway's own parts are left out."""
    text = shown(ENVOY)
    assert 'gateway_circuit_breaker_state{upstream="echo",breaker="requests"} 1' in text
    assert 'gateway_circuit_breaker_state{upstream="echo",breaker="connections"} 0' in text
    assert "gateway.xds" not in text


def test_every_family_is_there_before_the_first_request() -> None:
    """HELP and TYPE stand even without samples."""
    assert {family.name for family in families([])} == {
        "gateway_requests_total",
        "gateway_request_duration_seconds",
        "gateway_active_connections",
        "gateway_circuit_breaker_state",
    }


@pytest.mark.parametrize(
    "stat",
    [
        "gateway.requests_total",
        "gateway.request_duration_us",
        "http.http.downstream_cx_active",
        "cluster.a.b.membership_total",
        "cluster.echo.outlier_detection.ejections_active",
        "cluster.echo.circuit_breakers.default.rq_pending_open",
    ],
)
def test_the_filter_lets_through_what_is_read(stat: str) -> None:
    """Envoy applies it to its own stat names."""
    assert re.search(FILTER, stat)


def test_the_filter_keeps_out_the_rest() -> None:
    """Thousands of other stats of each cluster need not be rendered."""
    assert not re.search(FILTER, "cluster.echo.upstream_rq_total")
    assert Sample("envoy_cluster_upstream_rq_total", {}, 1.0).name not in WANTED
