"""The telemetry process's families, made from a real Envoy's counters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.model import Gateway
from servicekit.settings import load_settings
from telemetry.app import build
from telemetry.envoy_stats import EnvoyStats, StatsError
from telemetry.settings import TelemetrySettings
from tests.harness import gateways
from tests.harness.plane import Plane, running_plane
from tests.harness.ports import free_port

DOTTED = "resumes.prod"


def dotted(port: int, backend: int) -> Gateway:
    """Names with dots, which Envoy's own metric names would split, and a breaker that opens after two failures."""
    breaker = gateways.circuit_breaker(consecutive_failures=2, open_for=60.0)
    return gateways.gateway(
        gateways.route("/api", upstream=DOTTED),
        listeners=(gateways.listener(port, name="web.public"), gateways.listener(free_port(), name="admin")),
        upstreams=(gateways.upstream(DOTTED, backend, circuit_breaker=breaker),),
    )


@pytest.fixture
def plane() -> Iterator[Plane]:
    """A real Envoy in front of a backend."""
    with running_plane(dotted) as running:
        yield running


async def page(url: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What the telemetry process serves: samples by name, read by Prometheus' own parser."""
    settings = load_settings(TelemetrySettings, envoy_stats_url=url)
    process = await build(settings)
    transport = httpx.ASGITransport(app=process.http.config.app)  # type: ignore[arg-type]  # it is the application itself
    async with httpx.AsyncClient(transport=transport, base_url="http://telemetry") as client:
        text = (await client.get("/metrics")).text
    assert process.on_stopped is not None
    await process.on_stopped()
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def test_the_families_have_their_names_units_and_labels(plane: Plane) -> None:
    """Requests by route, durations in seconds, connections by listener and breakers by upstream, names whole."""
    plane.client.get("/api/x")
    plane.client.get("/nowhere")
    (of_admin,) = (line for line in plane.envoy.admin("/listeners").text.splitlines() if line.startswith("admin::"))
    plane.client.get(f"http://{of_admin.removeprefix('admin::')}/nowhere")
    samples = await page(f"{plane.envoy.health_url}/metrics")
    assert ({"method": "GET", "path": "/api", "status": "200"}, 1.0) in samples["gateway_requests_total"]
    assert sorted(samples["gateway_active_connections"], key=str) == [
        ({"listener": "admin"}, 1.0),
        ({"listener": "web.public"}, 1.0),
    ]
    assert ({"upstream": DOTTED, "breaker": "failures"}, 0.0) in samples["gateway_circuit_breaker_state"]
    assert ({"upstream": DOTTED, "breaker": "requests"}, 0.0) in samples["gateway_circuit_breaker_state"]
    assert {labels["upstream"] for labels, _ in samples["gateway_circuit_breaker_state"]} == {DOTTED}


async def test_an_open_breaker_shows(plane: Plane) -> None:
    """Two failures in a row, and the only endpoint is out."""
    plane.echo.status = 503
    for _ in range(3):
        plane.client.get("/api/x")
    samples = await page(f"{plane.envoy.health_url}/metrics")
    assert ({"upstream": DOTTED, "breaker": "failures"}, 1.0) in samples["gateway_circuit_breaker_state"]


async def test_durations_come_out_in_seconds(plane: Plane) -> None:
    """Cumulative buckets up to infinity; the sum is that of a fast exchange. Envoy merges histograms every 2 s."""
    plane.client.get("/api/x")
    url = f"{plane.envoy.health_url}/metrics"
    async with asyncio.timeout(10):
        while "gateway_request_duration_seconds_count" not in (samples := await page(url)):  # noqa: ASYNC110  Envoy sets no event
            await asyncio.sleep(0.1)
    buckets = {labels["le"]: value for labels, value in samples["gateway_request_duration_seconds_bucket"]}
    assert {"0.0005", "0.005", "1", "60", "+Inf"} <= set(buckets)
    assert list(buckets.values()) == sorted(buckets.values())
    assert 0 < samples["gateway_request_duration_seconds_sum"][0][1] < 1


async def test_an_envoy_that_is_away_is_counted_and_spoils_nothing() -> None:
    """The page is there, and says how often Envoy was not."""
    samples = await page(f"http://127.0.0.1:{free_port()}/metrics")
    assert samples["gateway_telemetry_scrape_failures_total"] == [({}, 1.0)]
    assert "gateway_requests_total" not in samples


async def test_a_page_that_is_too_slow_is_given_up() -> None:
    """The deadline holds for the whole answer."""

    async def drip(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=_endless())

    async with httpx.AsyncClient(transport=httpx.MockTransport(drip)) as client:
        with pytest.raises(StatsError):
            await EnvoyStats(url="http://envoy/metrics", deadline=0.2, client=client).read()


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.05)
