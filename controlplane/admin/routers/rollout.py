"""How what is live reaches the nodes: the state of each group, and a canary's end by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.errors import ApiError, declared
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.rollout import NoCanaryError, Rollout


class ReasonOut(BaseModel):
    """Why something was taken back."""

    at: datetime
    why: str
    node: str
    """Who refused first; empty when nobody did."""
    type_url: str
    resources: list[str]
    refused: dict[str, str]
    """Nodes that refuse, and their words."""


class CanaryOut(BaseModel):
    """How far the canary of a group is."""

    phase: str
    why: str
    """Why it was rolled back, or promoted unwatched; empty otherwise."""
    nodes: list[str]
    requests: int
    errors: int


class GroupOut(BaseModel):
    """One node group. Versions are hashes of everything that its nodes get."""

    name: str
    live: str
    desired: str
    """What the document wants: another than `live` after a roll-back and during a canary."""
    accepted: str | None
    """The newest that all its nodes have acknowledged."""
    waiting: list[str]
    refused: dict[str, str]
    rolled_back: ReasonOut | None
    canary: CanaryOut | None


class RolloutOut(BaseModel):
    """Every group, the services last."""

    groups: list[GroupOut]


def rollout_router(rollout: Rollout, trail: AuditTrail) -> APIRouter:
    """Routes about the rollout."""
    router = api_router("rollout")
    may_read = Needs(Role.VIEWER)
    may_promote, may_abort = (NeedsToWrite(Role.OPERATOR, f"rollout.{verb}", trail) for verb in ("promote", "abort"))

    @router.get("/rollout", responses=declared())
    async def get_rollout(_access: Access = Depends(may_read)) -> RolloutOut:
        """What each node group has, and what it should have."""
        return _state(rollout)

    @router.post("/rollout/promote", responses=declared(409))
    async def promote_canary(access: Access = Depends(may_promote)) -> RolloutOut:
        """Let every node have what the canary has."""
        return await _end(rollout, rollout.promote, access, trail)

    @router.post("/rollout/abort", responses=declared(409))
    async def abort_canary(access: Access = Depends(may_abort)) -> RolloutOut:
        """Take the canary's nodes back to what all others have."""
        return await _end(rollout, rollout.abort, access, trail)

    return router


async def _end(rollout: Rollout, end: Callable[[], Awaitable[None]], access: Access, trail: AuditTrail) -> RolloutOut:
    async with trail.write(access.deed) as entry:
        groups = [group.name for group in rollout.state() if group.canary is not None]
        await entry.intend(groups=groups)
        try:
            await end()
        except NoCanaryError:
            raise ApiError(409, "no-canary", "No canary is running.") from None
    return _state(rollout)


def _state(rollout: Rollout) -> RolloutOut:
    return RolloutOut(groups=[GroupOut.model_validate(group, from_attributes=True) for group in rollout.state()])
