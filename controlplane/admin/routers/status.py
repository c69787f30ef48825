"""What is live, what was refused last, and who is asking."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from controlplane.admin.errors import MistakeOut, declared, mistake_of
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs
from controlplane.admin.security.identity import Role
from controlplane.pipeline import Pipeline
from controlplane.store import Outcome


class StatusOut(BaseModel):
    """What is live, and what was refused last."""

    origin: str
    digest: str
    """Hash of everything that the live document means."""
    revision: int | None
    """Its number in the history; null when no history is kept."""
    outcome: Outcome
    """Whether every connected node has acknowledged it."""
    live_since: datetime | None
    listeners: list[str]
    upstreams: list[str]
    routes: list[str]
    refused: list[MistakeOut]
    refused_at: datetime | None


class WhoamiOut(BaseModel):
    """Who is asking, and what they may do."""

    name: str
    method: str
    """`admin-token`, `token`, `oidc` or `certificate`."""
    role: Role | None
    scopes: list[str]
    """Beginnings of paths that they may use; empty for all."""
    expires_at: datetime | None


def status_router(pipeline: Pipeline) -> APIRouter:
    """Routes about the whole."""
    router = api_router("status")
    may_read = Needs(Role.VIEWER)

    @router.get("/status", responses=declared())
    async def get_status(_access: Access = Depends(may_read)) -> StatusOut:
        """What is live, and why the newest document is not if it was refused."""
        now = pipeline.status
        return StatusOut(
            origin=now.origin,
            digest=now.digest,
            revision=now.number,
            outcome=now.outcome,
            live_since=now.live_since,
            listeners=[listener.name for listener in now.gateway.listeners] if now.gateway else [],
            upstreams=[upstream.name for upstream in now.gateway.upstreams] if now.gateway else [],
            routes=[route.name for route in now.gateway.routes] if now.gateway else [],
            refused=[mistake_of(problem) for problem in now.refused],
            refused_at=now.refused_at,
        )

    @router.get("/whoami", responses=declared())
    async def whoami(access: Access = Depends(may_read)) -> WhoamiOut:
        """Who you are here."""
        who = access.identity
        return WhoamiOut(
            name=who.name,
            method=who.method,
            role=who.role,
            scopes=list(who.scopes),
            expires_at=datetime.fromtimestamp(who.expires_at, UTC) if who.expires_at is not None else None,
        )

    return router
