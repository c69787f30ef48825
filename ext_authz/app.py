"""Wires the ext_authz process; the only module of the package that constructs its parts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio
from prometheus_client import CollectorRegistry, Gauge
from pydantic import SecretStr

from ext_authz.answers import add_cookies, encode, join, replace_cookies
from ext_authz.checker import Checker
from ext_authz.enforcer import Enforcer
from ext_authz.errors import PolicyError
from ext_authz.exchanges import Exchanges
from ext_authz.introspection import Introspections
from ext_authz.issuer_client import IssuerClient
from ext_authz.key_book import KeyBook
from ext_authz.key_fetcher import HttpKeyFetcher
from ext_authz.key_report import report_route
from ext_authz.key_ring import KeyRing
from ext_authz.metrics import Metrics
from ext_authz.renewal import Renewals
from ext_authz.revocation_feed import DEADLINE, RevocationFeed
from ext_authz.revocations import RevocationList
from ext_authz.rule_book import RuleBook
from ext_authz.service import CheckService
from ext_authz.settings import ExtAuthzSettings
from ext_authz.shared_exchanges import CALL_DEADLINE, SharedExchanges
from ext_authz.token_endpoint import HttpTokenEndpoints
from ext_authz.tracing import CheckTracer
from servicekit.contracts import ApiKeys, AuthPolicy
from servicekit.grpc_server import REQUEST_SERVER_OPTIONS
from servicekit.health import Health
from servicekit.http import HttpServer, operations_app
from servicekit.logs import configure_logging
from servicekit.policy_file import PolicyFile
from servicekit.redis_client import redis_client
from servicekit.secret_reference import NO_SECRETS, Secrets, opened_secrets
from servicekit.serving import Process, run
from servicekit.settings import load_settings
from servicekit.tls import add_port
from servicekit.tracing import SpanExporter
from servicekit.xds import XdsCollection, XdsSubscription

USER_AGENT: Final = "gateway-ext-authz"

MAX_CONCURRENT_CHECKS: Final = 4096
"""Checks that wait for an identity provider at a time; more are refused by gRPC, which is 503 at Envoy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything of the service but its sockets."""

    service: CheckService
    enforcer: Enforcer
    keys: KeyRing
    book: KeyBook
    fetcher: HttpKeyFetcher
    issuers: IssuerClient
    exchanges: Exchanges
    shared_exchanges: SharedExchanges | None
    """``None`` where there is no Redis."""
    introspections: Introspections
    revocations: RevocationFeed | None
    """``None`` where there is no Redis."""

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs as long as the service does."""
        feed = {"revocations": self.revocations.run} if self.revocations is not None else {}
        return {"keys": self.keys.run, **feed}

    async def aclose(self) -> None:
        """Close every connection."""
        await self.fetcher.aclose()
        await self.exchanges.aclose()
        if self.shared_exchanges is not None:
            await self.shared_exchanges.aclose()
        await self.introspections.aclose()
        await self.issuers.aclose()
        if self.revocations is not None:
            await self.revocations.aclose()


def assemble(
    *,
    registry: CollectorRegistry,
    cache_entries: int,
    secrets: Secrets = NO_SECRETS,
    tracer: CheckTracer | None = None,
    redis_url: SecretStr | None = None,
    api_key_secret: SecretStr | None = None,
) -> Parts:
    """Build the service; its metrics are in ``registry``, and policies may name what is in ``secrets``."""
    metrics = Metrics(clock=time.monotonic)
    registry.register(metrics)
    fetcher = HttpKeyFetcher()
    keys = KeyRing(fetcher=fetcher, clock=time.monotonic, count_fetch=metrics.fetch, secrets=secrets)
    rules = RuleBook()
    revocations = RevocationList()
    feed = _feed(redis_url, revocations) if redis_url is not None else None
    book = KeyBook(api_key_secret.get_secret_value().encode() if api_key_secret is not None else None)
    issuers = IssuerClient()
    introspections = Introspections(client=issuers, wall=time.time, count=metrics.introspection, entries=cache_entries)
    checker = Checker(
        rules=rules,
        keys=keys,
        book=book,
        introspections=introspections,
        revocations=revocations,
        render=encode,
        replace_cookies=replace_cookies,
        join=join,
        clock=time.monotonic,
        wall=time.time,
        cache_entries=cache_entries,
    )
    endpoints = HttpTokenEndpoints(issuers)
    shared = _shared(redis_url, endpoints)
    exchanges = Exchanges(endpoints=shared or endpoints, clock=time.monotonic, count=metrics.refresh)
    renewals = Renewals(
        checker=checker,
        rules=rules,
        exchanges=exchanges,
        render=encode,
        add_cookies=add_cookies,
        clock=time.monotonic,
    )
    metrics.watch(key_states=keys.states, cache=checker.lookups, entries=checker.entries, revocations=feed)
    return Parts(
        service=CheckService(
            checker=checker, metrics=metrics, clock=time.perf_counter, tracer=tracer, renewals=renewals
        ),
        enforcer=Enforcer(
            rules=rules,
            keys=keys,
            clock=time.monotonic,
            secrets=secrets,
            knows_revocations=feed is not None,
            knows_api_keys=book.can_verify,
        ),
        keys=keys,
        book=book,
        fetcher=fetcher,
        issuers=issuers,
        exchanges=exchanges,
        shared_exchanges=shared,
        introspections=introspections,
        revocations=feed,
    )


def _shared(redis_url: SecretStr | None, endpoints: HttpTokenEndpoints) -> SharedExchanges | None:
    """What replicas tell each other, where there is something to tell it by."""
    if redis_url is None:
        return None
    return SharedExchanges(inner=endpoints, client=redis_client(redis_url, deadline=CALL_DEADLINE))


def _feed(redis_url: SecretStr, revocations: RevocationList) -> RevocationFeed:
    client = redis_client(redis_url, deadline=DEADLINE)
    return RevocationFeed(client=client, revocations=revocations, clock=time.monotonic, wall=time.time)


async def build(settings: ExtAuthzSettings) -> Process:
    """Construct the process.

    Raises:
        SettingsError: an address can't be bound, or it would put gRPC in the clear on a network.
    """
    registry = CollectorRegistry()
    exporter = _exporter(settings, registry)
    parts = assemble(
        registry=registry,
        cache_entries=settings.ext_authz_cache_entries,
        secrets=opened_secrets(settings.secrets_dir),
        tracer=CheckTracer(exporter.record) if exporter is not None else None,
        redis_url=settings.redis_url,
        api_key_secret=settings.api_key_secret,
    )
    api_keys = _api_keys(settings, parts.book, registry)
    policy = _policy(settings, parts.enforcer, registry)
    server = grpc.aio.server(options=REQUEST_SERVER_OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT_CHECKS)
    server.add_generic_rpc_handlers((parts.service.handler(),))
    add_port(server, settings.ext_authz_bind, settings)
    health = Health(checks={"policy": policy.complaint})
    return Process(
        health=health,
        http=HttpServer(
            operations_app(health=health, registry=registry, routes=[report_route(parts.keys.states, time.monotonic)]),
            settings.ext_authz_http_bind,
        ),
        grpc_server=server,
        tasks={
            "policy": policy.run,
            **parts.tasks(),
            **({"api keys": api_keys.run} if api_keys is not None else {}),
            **({"spans": exporter.run} if exporter is not None else {}),
        },
        on_stopped=parts.aclose,
        drain_seconds=settings.drain_seconds,
    )


def _policy(
    settings: ExtAuthzSettings, enforcer: Enforcer, registry: CollectorRegistry
) -> XdsSubscription[AuthPolicy] | PolicyFile[AuthPolicy]:
    """Where the policy comes from."""
    if settings.ext_authz_policy is not None:
        return PolicyFile(settings.ext_authz_policy, contract=AuthPolicy, apply=enforcer.apply, refusals=(PolicyError,))
    return XdsSubscription(
        settings=settings,
        contract=AuthPolicy,
        apply=enforcer.apply,
        refusals=(PolicyError,),
        user_agent=USER_AGENT,
        registry=registry,
    )


def _api_keys(settings: ExtAuthzSettings, book: KeyBook, registry: CollectorRegistry) -> XdsCollection[ApiKeys] | None:
    """Who has no control plane, or can't verify any of its keys, asks for none."""
    if settings.ext_authz_policy is not None or not book.can_verify:
        return None
    known = Gauge("gateway_auth_api_keys", "API keys that are known, without those of the document.", registry=registry)
    known.set_function(lambda: len(book))
    connected = Gauge("gateway_auth_api_keys_connected", "Whether changes of API keys are heard of.", registry=registry)
    return XdsCollection(
        settings=settings,
        contract=ApiKeys,
        listed=lambda index: index.parts,
        apply=book.put,
        user_agent=USER_AGENT,
        connected=connected.set,
    )


def _exporter(settings: ExtAuthzSettings, registry: CollectorRegistry) -> SpanExporter | None:
    """Nothing at all is made of traces unless somebody collects them."""
    if settings.otlp_endpoint is None:
        return None
    return SpanExporter(settings.otlp_endpoint, service="ext-authz", registry=registry)


def main(*, policy: Path | None = None) -> None:
    """Run ``gateway ext-authz``; ``policy`` wins over the setting of that name."""
    settings = load_settings(ExtAuthzSettings)
    if policy is not None:
        settings = settings.model_copy(update={"ext_authz_policy": policy})
    configure_logging(service="ext-authz", level=settings.log_level)
    run(lambda: build(settings))


if __name__ == "__main__":
    main()
