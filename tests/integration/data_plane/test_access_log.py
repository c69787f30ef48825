"""What a real Envoy writes down and counts of each request."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from controlplane.model import Gateway
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane
from tests.harness.processes import wait_for

REQUESTS = "envoy_gateway_requests_total"
DURATION = "envoy_gateway_request_duration_us"


def make(port: int, backend: int) -> Gateway:
    """One route."""
    return g.gateway(g.route("/api"), listeners=(g.listener(port),), upstreams=(g.upstream(port=backend),))


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as running:
        yield running


def test_a_line_has_the_fields_of_every_process(plane: Plane) -> None:
    """The seed's fields, with numbers as numbers, and where the request went."""
    response = plane.client.post("/api/v1/auth/login", content=b"body")
    line = plane.envoy.logged(request_id=response.headers["x-request-id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    assert isinstance(line["duration_ms"], int)
    expected = {
        "level": "INFO",
        "service": "api-gateway",
        "method": "POST",
        "path": "/api/v1/auth/login",
        "status": 200,
        "route": "/api",
        "upstream": "resumes",
        "upstream_host": f"127.0.0.1:{plane.echo.port}",
        "client_ip": "127.0.0.1",
        "bytes_received": 4,
        "bytes_sent": len(response.content),
    }
    assert expected.items() <= line.items()
    assert "user_id" not in line


def test_no_query_string_is_written_down(plane: Plane) -> None:
    """Tokens stand there."""
    response = plane.client.get("/api/x?access_token=hush")
    line = plane.envoy.logged(request_id=response.headers["x-request-id"])
    assert line["path"] == "/api/x"
    assert "hush" not in str(line)


def test_a_client_cannot_forge_a_line(plane: Plane) -> None:
    """Quotes and braces in a header stay inside their value."""
    response = plane.client.get("/api", headers={"user-agent": '"},{"user_id":"root'})
    line = plane.envoy.logged(request_id=response.headers["x-request-id"])
    assert line["user_agent"] == '"},{"user_id":"root'
    assert "user_id" not in line


def test_requests_are_counted_by_method_route_and_status(plane: Plane) -> None:
    """The label ``path`` is the route's name, whatever the URL was."""
    before = plane.envoy.counter(REQUESTS, method="GET", path="/api", status="200")
    for number in range(3):
        plane.client.get(f"/api/{number}")
    plane.client.get("/nowhere")
    assert plane.envoy.counter(REQUESTS, method="GET", path="/api", status="200") == before + 3
    assert plane.envoy.counter(REQUESTS, method="GET", path="gateway.unmatched", status="404") == 1


def test_durations_have_our_buckets(plane: Plane) -> None:
    """In microseconds, shown within the time that Envoy takes to merge its histograms."""
    plane.client.get("/api")

    def merged() -> bool | None:
        return plane.envoy.counter(f"{DURATION}_count", path="/api") > 0 or None

    wait_for(merged, seconds=10, what="the histogram shows the request")
    bounds = re.findall(rf'{DURATION}_bucket{{.*path="/api".*le="(\d+|\+Inf)"', plane.envoy.metrics())
    assert {"500", "1000000", "60000000", "+Inf"} <= set(bounds)


def test_unknown_methods_make_no_series(plane: Plane) -> None:
    """HTTP/2 lets a client invent methods; they all count as one."""
    with httpx.Client(base_url=plane.client.base_url, http1=False, http2=True) as client:
        for number in range(5):
            client.request(f"INVENTED{number}", "/nowhere")
    assert plane.envoy.counter(REQUESTS, method="OTHER") == 5
    assert "INVENTED" not in plane.envoy.metrics()
