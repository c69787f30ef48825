"""The admin HTTP application: health, merged metrics, and ``/api/v1`` behind the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from controlplane.admin import errors
from controlplane.admin.config import config_router
from controlplane.admin.nodes import nodes_router
from controlplane.admin.revisions import revisions_router
from controlplane.admin.security.token_check import TokenCheck
from controlplane.pipeline import Pipeline
from controlplane.store import RevisionStore
from controlplane.xds.ledger import Ledger
from servicekit.health import Health
from servicekit.http import health_routes

Merge = Callable[[str], Awaitable[str]]
"""This process's metrics, merged with those of the others."""


def build_admin_app(
    *,
    pipeline: Pipeline,
    store: RevisionStore | None,
    ledger: Ledger,
    health: Health,
    registry: CollectorRegistry,
    merge: Merge,
    token: str,
) -> FastAPI:
    """Put the application together. Health and metrics are open; everything else needs ``token``.

    An empty ``token`` lets nobody in; without a ``store`` there is no history to show.
    """
    app = FastAPI(
        title="API Gateway admin API",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        routes=health_routes(health),
    )
    errors.install(app)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await merge(generate_latest(registry).decode()), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    guarded = [Depends(TokenCheck(token))]
    routers = [config_router(pipeline), nodes_router(ledger)]
    if store is not None:
        routers.append(revisions_router(store, pipeline.compile))
    for router in routers:
        app.include_router(router, prefix="/api/v1", dependencies=guarded)

    @app.get("/api/v1/openapi.json", dependencies=guarded, include_in_schema=False)
    async def schema() -> dict[str, object]:
        return app.openapi()

    return app
