"""The admin HTTP application: health and merged metrics for everybody, ``/api/v1`` for those who may."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from controlplane.admin import errors
from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.changes import Changes
from controlplane.admin.editing import SECTIONS
from controlplane.admin.openapi import openapi_of
from controlplane.admin.routers.api_keys import api_keys_router
from controlplane.admin.routers.audit import audit_router
from controlplane.admin.routers.auth import auth_router
from controlplane.admin.routers.cache import cache_router
from controlplane.admin.routers.discovery import discovery_router
from controlplane.admin.routers.document import document_router
from controlplane.admin.routers.events import Listeners, events_router
from controlplane.admin.routers.limit_callers import limit_callers_router
from controlplane.admin.routers.limits import limits_router
from controlplane.admin.routers.nodes import nodes_router
from controlplane.admin.routers.resources import resources_router
from controlplane.admin.routers.revisions import revisions_router
from controlplane.admin.routers.revocations import revocations_router
from controlplane.admin.routers.rollout import rollout_router
from controlplane.admin.routers.status import status_router
from controlplane.admin.routers.tokens import tokens_router
from controlplane.admin.routers.transfer import transfer_router
from controlplane.admin.routing import BASE
from controlplane.admin.security.access import Access, Needs, check_every_operation
from controlplane.admin.security.guard import Guard
from controlplane.admin.security.identity import Authenticator, Role
from controlplane.admin.security.limits import Rate
from controlplane.admin.settings import AdminSettings
from controlplane.api_keys import KeyMaker
from controlplane.auth_services import AuthServices
from controlplane.discovery import Standing
from controlplane.events import Events
from controlplane.limit_state import LimitStates
from controlplane.node_book import NodeBook
from controlplane.pipeline import Pipeline
from controlplane.purges import PurgeStore
from controlplane.revocations import RevocationStore
from controlplane.rollout import Rollout
from controlplane.store import Store
from servicekit.health import Health
from servicekit.http import health_routes

Merge = Callable[[str], Awaitable[str]]
"""This process's metrics, merged with those of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often requests may come."""

    caller: Rate
    """Of one who is known."""
    address: Rate
    """Of one address."""
    failure: Rate
    """Of one address, with credentials that prove nothing."""

    @classmethod
    def of(cls, settings: AdminSettings) -> Self:
        """What the settings allow."""
        each, failures = settings.admin_requests_per_second, settings.admin_failed_logins_per_minute
        return cls(
            caller=Rate(burst=4 * each, per_second=each),
            address=Rate(burst=8 * each, per_second=2 * each),
            failure=Rate(burst=max(1.0, failures), per_second=failures / 60),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """What the admin API shows and changes."""

    pipeline: Pipeline
    rollout: Rollout
    store: Store | None
    """Without one there is no history, and nothing can be changed."""
    nodes: NodeBook
    auth: AuthServices
    revocations: RevocationStore | None
    """``None`` without a Redis."""
    purges: PurgeStore | None
    """``None`` without a Redis."""
    limit_states: LimitStates | None
    """``None`` without a Redis."""
    key_maker: KeyMaker | None
    """``None`` without the secret that API keys are hashed with."""
    standings: Callable[[], Sequence[Standing]]
    """Of the lists of endpoints that the live document names."""
    events: Events
    health: Health
    registry: CollectorRegistry
    merge: Merge


def build_admin_app(
    parts: AdminParts,
    *,
    authenticator: Authenticator,
    limits: Limits,
    hosts: frozenset[str] | None = None,
    if_match_required: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Guard:
    """Put the application together.

    Args:
        parts: what it is about.
        authenticator: who says who is asking.
        limits: how often requests may come.
        hosts: names by which the server may be called; ``None`` for any.
        if_match_required: whether changes have to name the state that they are meant for.
        clock: seconds that only grow.

    Raises:
        UnguardedOperationError: an operation names no role.
    """
    app = build_api(parts, authenticator=authenticator, if_match_required=if_match_required)
    return Guard(
        app,
        authenticator=authenticator,
        caller=limits.caller,
        address=limits.address,
        failure=limits.failure,
        hosts=hosts,
        clock=clock,
    )


def build_api(parts: AdminParts, *, authenticator: Authenticator, if_match_required: bool = False) -> FastAPI:
    """The application behind the guard.

    Raises:
        UnguardedOperationError: an operation names no role.
    """
    app = FastAPI(
        title="API Gateway admin API",
        version="1",
        description="What is live, what would be, who has what; and the changes of all that.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=health_routes(parts.health),
    )
    errors.install(app)
    may_read = Needs(Role.VIEWER)
    app.openapi = openapi_of(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        own = generate_latest(parts.registry).decode()
        return Response(await parts.merge(own), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @app.get(f"{BASE}/openapi.json", include_in_schema=False)
    async def schema(_access: Access = Depends(may_read)) -> dict[str, object]:
        return app.openapi()

    for router in _routers(parts, authenticator, if_match_required=if_match_required):
        app.router.routes.extend(router.routes)  # flat, so that every operation can be looked at
    check_every_operation(app)
    return app


def _routers(parts: AdminParts, authenticator: Authenticator, *, if_match_required: bool) -> list[APIRouter]:
    store = parts.store
    trail = AuditTrail(store.audit if store is not None else None)
    changes = Changes(pipeline=parts.pipeline, trail=trail, if_match_required=if_match_required)
    return [
        status_router(parts.pipeline),
        document_router(changes, trail),
        *(resources_router(section, changes, trail) for section in SECTIONS.values()),
        revisions_router(store.revisions if store is not None else None, parts.pipeline, changes, trail),
        rollout_router(parts.rollout, trail),
        nodes_router(parts.nodes),
        auth_router(parts.auth),
        discovery_router(parts.standings),
        events_router(parts.events, parts.health, authenticator, Listeners()),
        tokens_router(store.tokens if store is not None else None, trail),
        revocations_router(parts.revocations, lambda: parts.pipeline.status.gateway, trail),
        cache_router(parts.purges, lambda: parts.pipeline.status.gateway, trail),
        api_keys_router(
            store.api_keys if store is not None else None,
            parts.key_maker,
            lambda: parts.pipeline.status.gateway,
            trail,
        ),
        limits_router(
            store.limit_overrides if store is not None else None, lambda: parts.pipeline.status.gateway, trail
        ),
        limit_callers_router(
            parts.limit_states,
            store.limit_overrides if store is not None else None,
            lambda: parts.pipeline.status.gateway,
            trail,
        ),
        audit_router(store.audit if store is not None else None),
        transfer_router(store, trail),
    ]
