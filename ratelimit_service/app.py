"""Wires the rate-limit process; the only module of the package that constructs its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from envoy.service.rate_limit_quota.v3.rlqs_pb2_grpc import add_RateLimitQuotaServiceServicer_to_server
from prometheus_client import CollectorRegistry, Gauge

from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import PolicyBook, PolicyError
from ratelimit_service.quota.board import DEADLINE as QUOTA_DEADLINE
from ratelimit_service.quota.board import QuotaBoard
from ratelimit_service.quota.book import QuotaBook
from ratelimit_service.quota.service import QuotaService
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.reset_feed import DEADLINE, ResetFeed
from ratelimit_service.rules.folder import RuleFolder
from ratelimit_service.rules.http import routes
from ratelimit_service.rules.limiter import RuleLimiter
from ratelimit_service.rules.metrics import RuleMetrics
from ratelimit_service.rules.service import RuleService
from ratelimit_service.rules.tree import Domains
from ratelimit_service.service import RateLimitService
from ratelimit_service.settings import RateLimitSettings
from ratelimit_service.top_callers import DEADLINE as TOP_DEADLINE
from ratelimit_service.top_callers import TopCallers, TopReporter
from ratelimit_service.waiting_room import WaitingRoom
from ratelimit_service.wire import add_to_server
from servicekit.contracts import LimitOverrides, LimitPolicy
from servicekit.grpc_server import REQUEST_SERVER_OPTIONS
from servicekit.health import Health
from servicekit.http import HttpServer, operations_app
from servicekit.logs import configure_logging
from servicekit.redis_client import redis_client
from servicekit.serving import Process, run
from servicekit.settings import load_settings
from servicekit.tls import add_port
from servicekit.xds import XdsCollection, XdsSubscription

SERVICE = "ratelimit"
USER_AGENT = f"gateway-{SERVICE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything of the service but its sockets."""

    service: RateLimitService
    quotas: QuotaService
    board: QuotaBoard
    policy: PolicyBook
    overrides: OverrideBook
    resets: ResetFeed
    top: TopReporter | None
    """``None`` where nobody may know."""
    store: RedisStore

    async def aclose(self) -> None:
        """Close every connection that is nobody else's."""
        await self.resets.aclose()
        await self.board.aclose()
        if self.top is not None:
            await self.top.aclose()


def assemble(settings: RateLimitSettings, registry: CollectorRegistry) -> Parts:
    """Build the service; its metrics are in ``registry``."""
    metrics = Metrics(registry)
    policy = PolicyBook(clock=time.monotonic, local_share=settings.ratelimit_local_share)
    store = _store(settings, metrics)
    refused = OverLimitCache()
    overrides = OverrideBook(wall=time.time, changed=lambda: refused.clear(time.monotonic()))
    local = LocalStore(clock_us=_clock_us())
    callers = TopCallers() if settings.ratelimit_top_callers else None

    def forget(keys: Sequence[bytes]) -> None:
        if keys:
            refused.forget(keys, time.monotonic())
            local.forget(keys)
        else:
            refused.clear(time.monotonic())

    room = WaitingRoom(told=metrics.waited)
    waiting = Gauge("gateway_ratelimit_waiting", "Requests that wait for a token right now.", registry=registry)
    waiting.set_function(lambda: len(room))
    limiter = Limiter(
        policy=policy,
        overrides=overrides,
        store=store,
        local=local,
        refused=refused,
        metrics=metrics,
        clock=time.monotonic,
        room=room,
        top=callers,
    )
    book = QuotaBook(find=policy.find, clock=time.monotonic)
    quotas = QuotaService(book=book, serves=lambda: policy.applied)
    leases = Gauge("gateway_ratelimit_quota_shares", "Shares of quotas that proxies have from here.", registry=registry)
    leases.set_function(lambda: len(book))
    board = QuotaBoard(client=redis_client(settings.redis_url, deadline=QUOTA_DEADLINE), book=book, changed=quotas.tell)
    return Parts(
        quotas=quotas,
        board=board,
        service=RateLimitService(limiter=limiter, policy=policy),
        policy=policy,
        overrides=overrides,
        resets=ResetFeed(client=redis_client(settings.redis_url, deadline=DEADLINE), forget=forget),
        top=_top_reporter(settings, callers) if callers is not None else None,
        store=store,
    )


def _top_reporter(settings: RateLimitSettings, callers: TopCallers) -> TopReporter:
    return TopReporter(client=redis_client(settings.redis_url, deadline=TOP_DEADLINE), callers=callers, wall=time.time)


def _store(settings: RateLimitSettings, metrics: Metrics) -> RedisStore:
    return RedisStore(
        url=settings.redis_url.get_secret_value(),
        metrics=metrics,
        deadline=settings.redis_timeout_ms / 1000,
        connections=settings.redis_connections,
    )


def _clock_us() -> Callable[[], int]:
    """Microseconds since 1970 that never go back."""
    epoch_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (epoch_ns + time.monotonic_ns()) // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleParts:
    """Everything of the service that answers by files, but its sockets."""

    service: RuleService
    store: RedisStore


def assemble_rules(settings: RateLimitSettings, rules: Callable[[], Domains], registry: CollectorRegistry) -> RuleParts:
    """Build the service that answers by ``rules``; its metrics are in ``registry``."""
    store = _store(settings, Metrics(registry))
    limiter = RuleLimiter(
        rules=rules,
        store=store,
        local=LocalStore(clock_us=_clock_us()),
        refused=OverLimitCache(),
        metrics=RuleMetrics(registry),
        clock=time.monotonic,
    )
    return RuleParts(service=RuleService(limiter), store=store)


async def build_from_files(settings: RateLimitSettings, config: Path) -> Process:
    """Construct the process that needs no control plane: it answers by the files of a folder.

    Raises:
        RulesError: the files can't be used.
        SettingsError: the gRPC address can't be used.
    """
    registry = CollectorRegistry()
    folder = RuleFolder(config, registry, merge=settings.ratelimit_merge_domains)
    folder.load()
    parts = assemble_rules(settings, folder.domains, registry)
    server = grpc.aio.server(options=REQUEST_SERVER_OPTIONS)
    add_to_server(parts.service.ShouldRateLimit, server)
    add_port(server, settings.ratelimit_bind, settings)
    health = Health()
    operations = operations_app(health=health, registry=registry, routes=routes(parts.service, folder.domains, health))
    return Process(
        health=health,
        http=HttpServer(operations, settings.ratelimit_http_bind),
        grpc_server=server,
        tasks={"rules": folder.follow, "redis": parts.store.run},
        drain_seconds=settings.drain_seconds,
    )


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
        user_agent=USER_AGENT,
        registry=registry,
    )
    server = grpc.aio.server(options=REQUEST_SERVER_OPTIONS)
    add_to_server(parts.service.ShouldRateLimit, server)
    add_RateLimitQuotaServiceServicer_to_server(parts.quotas, server)
    add_port(server, settings.ratelimit_bind, settings)
    health = Health(checks={"policy": subscription.complaint})
    parts.quotas.end_when(lambda: health.draining)
    return Process(
        health=health,
        http=HttpServer(operations_app(health=health, registry=registry), settings.ratelimit_http_bind),
        grpc_server=server,
        tasks={
            "policy": subscription.run,
            "overrides": _overrides(settings, parts.overrides, registry).run,
            "redis": parts.store.run,
            "resets": parts.resets.run,
            "quotas": parts.board.run,
            **({"top callers": parts.top.run} if parts.top is not None else {}),
        },
        on_stopped=parts.aclose,
        drain_seconds=settings.drain_seconds,
    )


def _overrides(
    settings: RateLimitSettings, book: OverrideBook, registry: CollectorRegistry
) -> XdsCollection[LimitOverrides]:
    known = Gauge("gateway_ratelimit_overrides", "Callers with other amounts than their limit's.", registry=registry)
    known.set_function(lambda: len(book))
    connected = Gauge(
        "gateway_ratelimit_overrides_connected", "Whether changes of overrides are heard of.", registry=registry
    )
    return XdsCollection(
        settings=settings,
        contract=LimitOverrides,
        listed=lambda index: index.parts,
        apply=book.put,
        user_agent=USER_AGENT,
        connected=connected.set,
    )


def main(config: Path | None = None) -> None:
    """Run the process; with ``config``, by the files of that folder.

    Raises:
        RulesError: those can't be used.
    """
    settings = load_settings(RateLimitSettings)
    configure_logging(service=SERVICE, level=settings.log_level)
    run(lambda: build(settings) if config is None else build_from_files(settings, config))
