"""Wires the telemetry process: Envoy's stats in, the gateway's families out, both at the moment of a scrape."""

from __future__ import annotations

import httpx
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from servicekit.health import Health
from servicekit.http import HttpServer, health_routes
from servicekit.logs import configure_logging
from servicekit.serving import Process, run
from servicekit.settings import load_settings
from telemetry.envoy_stats import EnvoyStats, StatsError
from telemetry.exposition import parse, render
from telemetry.families import WANTED, families
from telemetry.settings import TelemetrySettings

SERVICE = "telemetry"
_DEADLINE_SECONDS = 1.5
"""Less than the 2 s after which the control plane leaves this page out of the merged one."""


async def build(settings: TelemetrySettings) -> Process:
    """Construct the process."""
    client = httpx.AsyncClient(trust_env=False)
    registry = CollectorRegistry()
    failures = Counter("gateway_telemetry_scrape_failures", "Scrapes that Envoy did not answer.", registry=registry)
    stats = EnvoyStats(url=settings.envoy_stats_url, deadline=_DEADLINE_SECONDS, client=client)

    async def metrics(_request: Request) -> Response:
        try:
            ours = render(families(parse(await stats.read(), WANTED)))
        except StatsError:
            failures.inc()
            ours = ""
        page = ours + generate_latest(registry).decode()
        return Response(page, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    health = Health()
    app = Starlette(routes=[*health_routes(health), Route("/metrics", metrics)])
    return Process(
        health=health,
        http=HttpServer(app, settings.telemetry_http_bind),
        on_stopped=client.aclose,
        drain_seconds=settings.drain_seconds,
    )


def main() -> None:
    """Run the process."""
    settings = load_settings(TelemetrySettings)
    configure_logging(service=SERVICE, level=settings.log_level)
    run(lambda: build(settings))
