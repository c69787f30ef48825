"""Wires the control plane; the only module of the package that constructs its parts."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path

import grpc.aio
import httpx
from prometheus_client import CollectorRegistry

from controlplane.admin.api import AdminParts, Limits, build_admin_app
from controlplane.admin.security.headers import local_hosts
from controlplane.admin.security.ways_in import warn_of_plaintext, ways_in
from controlplane.api_keys import API_KEYS, KeyMaker
from controlplane.auth_services import AuthServices
from controlplane.compiler import Compiler
from controlplane.discovery import DiscoveringCache, Discovery, ListMemory, ListOpener
from controlplane.events import Events
from controlplane.history import History
from controlplane.limit_overrides import LIMIT_OVERRIDES
from controlplane.limit_state import DEADLINE as LIMITS_DEADLINE
from controlplane.limit_state import LimitStates
from controlplane.node_book import NodeBook
from controlplane.pipeline import Pipeline
from controlplane.placement import BESIDE_RELEASES, Placement
from controlplane.preflight import EnvoyPreflight
from controlplane.publishing import Changing, Kind, Publisher, R, S
from controlplane.purges import DEADLINE as PURGES_DEADLINE
from controlplane.purges import PurgeStore
from controlplane.revocations import DEADLINE as REVOCATIONS_DEADLINE
from controlplane.revocations import RevocationStore
from controlplane.rollout import Rollout
from controlplane.settings import ControlPlaneSettings
from controlplane.sources import EnvironmentSource, FileSource, Source
from controlplane.store import Store, open_store
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.csds_server import CsdsServer
from controlplane.xds.ledger import Ledger
from controlplane.xds.load_book import LoadBook
from controlplane.xds.load_reports import LoadReportServer
from controlplane.xds.server import SERVER_OPTIONS, DrainingServer, XdsServer
from servicekit.health import Health
from servicekit.http import HttpServer
from servicekit.https import HttpsFiles
from servicekit.logs import configure_logging
from servicekit.metrics import collect
from servicekit.opened_folder import OpenedFolder
from servicekit.redis_client import redis_client
from servicekit.serving import Process, run
from servicekit.settings import load_settings
from servicekit.tls import add_port

SERVICE = "controlplane"
_PREFLIGHT_DEADLINE_SECONDS = 10.0


async def build(settings: ControlPlaneSettings, envoy: Path | None) -> Process:
    """Construct the process; ``envoy`` is the binary that sees every snapshot first."""
    registry = CollectorRegistry()
    store = await open_store(settings.store_url.get_secret_value()) if settings.store_url else None
    cache, ledger, events = SnapshotCache(), Ledger(clock=time.time), Events()
    placement = Placement(service_identities=settings.service_identities)
    loads = LoadBook(interval=settings.load_report_seconds)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    replica = _identifier()
    xds = XdsServer(cache=cache, ledger=ledger, place=placement.place, identifier=replica, registry=registry)
    nodes = NodeBook(ledger=ledger, store=store.nodes if store is not None else None, replica=replica)
    load_reports = LoadReportServer(book=loads, place=placement.place)
    xds.add_to(server)
    load_reports.add_to(server)
    csds = CsdsServer(ledger=ledger, readers=settings.csds_readers)
    csds.add_to(server)
    add_port(server, settings.xds_bind, settings)
    preflight = EnvoyPreflight(binary=envoy, deadline=_PREFLIGHT_DEADLINE_SECONDS) if envoy else None
    filling = DiscoveringCache(cache)
    lists = ListOpener(OpenedFolder(settings.discovery_dir, setting="GATEWAY_DISCOVERY_DIR"))
    memory = ListMemory(settings.state_dir / "lists" if settings.state_dir is not None else None)
    discovery = Discovery(cache=filling, open_list=lists, memory=memory, registry=registry)
    rollout = Rollout(
        cache=filling,
        ledger=ledger,
        placement=placement,
        regroup=xds.regroup,
        loads=loads,
        events=events,
        registry=registry,
        is_alone=store is None or not store.is_shared,
    )
    pipeline = Pipeline(
        sources=[_source(settings)],
        compiler=Compiler(preflight=preflight, listen_address=settings.listen_address),
        rollout=rollout,
        history=History(revisions=store.revisions if store is not None else None, keep=settings.store_revisions),
        events=events,
        remember=xds.remember,
        discover=discovery.follow,
        registry=registry,
    )
    client = httpx.AsyncClient(trust_env=False)
    revocations, purges = _revocations(settings), _purges(settings)
    limit_states = _limit_states(settings)
    health = Health(checks={"document": pipeline.complaint})
    app = build_admin_app(
        AdminParts(
            pipeline=pipeline,
            rollout=rollout,
            store=store,
            nodes=nodes,
            standings=discovery.standings,
            auth=AuthServices(settings.auth_targets, client=client),
            revocations=revocations,
            purges=purges,
            limit_states=limit_states,
            key_maker=_key_maker(settings),
            events=events,
            health=health,
            registry=registry,
            merge=lambda own: collect(settings.metrics_targets, own=own, client=client),
        ),
        authenticator=ways_in(settings, tokens=store.tokens if store is not None else None, client=client),
        limits=Limits.of(settings),
        hosts=local_hosts(settings.admin_bind),
        if_match_required=settings.admin_require_if_match,
    )
    warn_of_plaintext(settings)
    https = HttpsFiles(settings.admin_tls_dir) if settings.admin_tls_dir is not None else None

    async def stopped() -> None:
        if preflight is not None:
            preflight.close()  # the thread that waits for Envoy's verdict would hold up the end of the process
        await client.aclose()
        await lists.aclose()
        for told in (revocations, purges, limit_states):
            if told is not None:
                await told.aclose()
        await nodes.write()  # who has gone with this replica
        if store is not None:
            await store.close()

    return Process(
        health=health,
        http=HttpServer(app, settings.admin_bind, tls=https.context if https is not None else None),
        grpc_server=DrainingServer(server, xds, load_reports, csds),
        tasks={
            "pipeline": pipeline.run,
            "rollout": rollout.run,
            "discovery": discovery.run,
            "nodes": nodes.run,
            **(_publishers(store, cache) if store is not None else {}),
            **({"certificates": https.keep_fresh} if https is not None else {}),
        },
        on_stopped=stopped,
        drain_seconds=settings.drain_seconds,
    )


def _revocations(settings: ControlPlaneSettings) -> RevocationStore | None:
    if settings.redis_url is None:
        return None
    return RevocationStore(redis_client(settings.redis_url, deadline=REVOCATIONS_DEADLINE))


def _purges(settings: ControlPlaneSettings) -> PurgeStore | None:
    if settings.redis_url is None:
        return None
    return PurgeStore(redis_client(settings.redis_url, deadline=PURGES_DEADLINE))


def _limit_states(settings: ControlPlaneSettings) -> LimitStates | None:
    if settings.redis_url is None:
        return None
    return LimitStates(redis_client(settings.redis_url, deadline=LIMITS_DEADLINE))


def _key_maker(settings: ControlPlaneSettings) -> KeyMaker | None:
    secret = settings.api_key_secret
    return KeyMaker(secret=secret.get_secret_value().encode()) if secret is not None else None


def _publishers(store: Store, cache: SnapshotCache) -> dict[str, Callable[[], Awaitable[None]]]:
    """What shows the services that which comes and goes beside releases."""

    def publish(kind: Kind[R, S], stored: Changing[R]) -> Callable[[], Awaitable[None]]:
        group = BESIDE_RELEASES[kind.contract.TYPE_URL]
        return Publisher(kind, store=stored, cache=cache, group=group, clock=lambda: datetime.now(UTC)).run

    return {
        "api keys": publish(API_KEYS, store.api_keys),
        "limit overrides": publish(LIMIT_OVERRIDES, store.limit_overrides),
    }


def _source(settings: ControlPlaneSettings) -> Source:
    if settings.document is not None:
        return FileSource(settings.document)
    return EnvironmentSource(backend_url=settings.backend_url, port=settings.port)


def _identifier() -> str:
    return f"{socket.gethostname()}/{metadata.version('api-gateway')}/{secrets.token_hex(3)}"


def main(envoy: Path | None = None) -> None:
    """Run the process; ``envoy`` is the binary to use when the settings name none."""
    settings = load_settings(ControlPlaneSettings)
    configure_logging(service=SERVICE, level=settings.log_level)
    run(partial(build, settings, settings.envoy_path or envoy))
