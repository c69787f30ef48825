"""Wires the response cache; the only module of the package that constructs its parts."""

from __future__ import annotations

import time

import grpc.aio
from prometheus_client import CollectorRegistry

from response_cache.exchange import Shared
from response_cache.flights import Flights
from response_cache.metrics import Metrics
from response_cache.purge_feed import DEADLINE, PurgeFeed
from response_cache.service import CacheService
from response_cache.settings import ResponseCacheSettings
from response_cache.store import Store
from servicekit.grpc_server import REQUEST_SERVER_OPTIONS
from servicekit.health import Health
from servicekit.http import HttpServer, operations_app
from servicekit.logs import configure_logging
from servicekit.redis_client import redis_client
from servicekit.serving import Process, run
from servicekit.settings import load_settings
from servicekit.tls import add_port

SERVICE = "response-cache"


def assemble(settings: ResponseCacheSettings, registry: CollectorRegistry) -> Shared:
    """Build everything of the service but its sockets; its metrics are in ``registry``."""
    metrics = Metrics(registry)
    store = Store(settings.response_cache_memory)
    flights = Flights(time.monotonic)
    metrics.watch(store, flights)
    return Shared(store=store, flights=flights, metrics=metrics, clock=time.monotonic, wall=time.time)


async def build(settings: ResponseCacheSettings) -> Process:
    """Construct the process. It needs nobody to start.

    Raises:
        SettingsError: the gRPC address can't be used.
    """
    registry = CollectorRegistry()
    shared = assemble(settings, registry)
    feed = _feed(settings, shared)
    server = grpc.aio.server(options=REQUEST_SERVER_OPTIONS)
    server.add_generic_rpc_handlers((CacheService(shared).handler(),))
    add_port(server, settings.response_cache_bind, settings)
    health = Health()
    return Process(
        health=health,
        http=HttpServer(operations_app(health=health, registry=registry), settings.response_cache_http_bind),
        grpc_server=server,
        tasks={"purges": feed.run} if feed is not None else {},
        on_stopped=feed.aclose if feed is not None else None,
        drain_seconds=settings.drain_seconds,
    )


def _feed(settings: ResponseCacheSettings, shared: Shared) -> PurgeFeed | None:
    if settings.redis_url is None:
        return None
    feed = PurgeFeed(
        client=redis_client(settings.redis_url, deadline=DEADLINE), forget=shared.forget, clock=time.monotonic
    )
    shared.metrics.watch_purges(feed)
    return feed


def main() -> None:
    """Run ``gateway response-cache``."""
    settings = load_settings(ResponseCacheSettings)
    configure_logging(service=SERVICE, level=settings.log_level)
    run(lambda: build(settings))
