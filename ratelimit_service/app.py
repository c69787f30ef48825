"""Wires the rate-limit process; the only module of the package that constructs its parts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import grpc.aio
from envoy.service.ratelimit.v3.rls_pb2_grpc import add_RateLimitServiceServicer_to_server
from prometheus_client import CollectorRegistry

from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.policy import PolicyBook, PolicyError
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.service import RateLimitService
from ratelimit_service.settings import RateLimitSettings
from servicekit.contracts import LimitPolicy
from servicekit.grpc_server import REQUEST_SERVER_OPTIONS
from servicekit.health import Health
from servicekit.http import HttpServer, operations_app
from servicekit.logs import configure_logging
from servicekit.serving import Process, run
from servicekit.settings import load_settings
from servicekit.tls import add_port
from servicekit.xds import XdsSubscription

SERVICE = "ratelimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything of the service but its sockets."""

    service: RateLimitService
    policy: PolicyBook
    store: RedisStore


def assemble(settings: RateLimitSettings, registry: CollectorRegistry) -> Parts:
    """Build the service; its metrics are in ``registry``."""
    metrics = Metrics(registry)
    policy = PolicyBook(clock=time.monotonic, local_share=settings.ratelimit_local_share)
    store = RedisStore(
        url=settings.redis_url.get_secret_value(),
        metrics=metrics,
        deadline=settings.redis_timeout_ms / 1000,
        connections=settings.redis_connections,
    )
    epoch_ns = time.time_ns() - time.monotonic_ns()
    limiter = Limiter(
        policy=policy,
        store=store,
        local=LocalStore(clock_us=lambda: (epoch_ns + time.monotonic_ns()) // 1000),
        refused=OverLimitCache(),
        metrics=metrics,
        clock=time.monotonic,
    )
    return Parts(service=RateLimitService(limiter=limiter, policy=policy), policy=policy, store=store)


async def build(settings: RateLimitSettings) -> Process:
    """Construct the process. It needs neither Redis nor the control plane to start.

    Raises:
        SettingsError: the gRPC address can't be used.
    """
    registry = CollectorRegistry()
    parts = assemble(settings, registry)
    subscription = XdsSubscription(
        settings=settings,
        contract=LimitPolicy,
        apply=parts.policy.apply,
        refusals=(PolicyError,),
        user_agent=f"gateway-{SERVICE}",
        registry=registry,
    )
    server = grpc.aio.server(options=REQUEST_SERVER_OPTIONS)
    add_RateLimitServiceServicer_to_server(parts.service, server)
    add_port(server, settings.ratelimit_bind, settings)
    health = Health(checks={"policy": subscription.complaint})
    return Process(
        health=health,
        http=HttpServer(operations_app(health=health, registry=registry), settings.ratelimit_http_bind),
        grpc_server=server,
        tasks={"policy": subscription.run, "redis": parts.store.run},
        drain_seconds=settings.drain_seconds,
    )


def main() -> None:
    """Run the process."""
    settings = load_settings(RateLimitSettings)
    configure_logging(service=SERVICE, level=settings.log_level)
    run(lambda: build(settings))
