"""The audit log: every write, who and from where, in a chain that shows what was taken out or changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from controlplane.admin.changes import no_store
from controlplane.admin.errors import ApiError, declared
from controlplane.admin.parameters import Before, Limit
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs
from controlplane.admin.security.identity import Role
from controlplane.store import StoreError
from controlplane.store.audit import AuditLog


class AuditEntryOut(BaseModel):
    """One entry."""

    number: int
    at: datetime
    actor: str
    address: str
    action: str
    target: str
    detail: dict[str, Any]
    previous: str
    """Digest of the entry before."""
    digest: str
    """SHA-256 over this entry and `previous`."""


class AuditPageOut(BaseModel):
    """Some entries, newest first."""

    items: list[AuditEntryOut]
    before: int | None
    """The `before` of the next page; null on the last."""


class VerdictOut(BaseModel):
    """Whether the chain is whole."""

    whole: bool
    first_bad: int | None
    """Number of the first entry that does not fit to the one before."""
    count: int
    """Entries that are good, counted from the first."""
    head: str
    """Digest of the last good entry. Note it elsewhere: that the log's end was cut off shows only there."""


def audit_router(log: AuditLog | None) -> APIRouter:
    """Routes about the audit log."""
    router = api_router("audit")
    may_read = Needs(Role.ADMIN)

    @router.get("/audit", responses=declared(422))
    async def list_audit_entries(
        before: Before = None, limit: Limit = 50, _access: Access = Depends(may_read)
    ) -> AuditPageOut:
        """The log, newest first."""
        try:
            entries = await _there(log).page(before, limit + 1)
        except StoreError as error:
            raise _unavailable() from error
        page = entries[:limit]
        return AuditPageOut(
            items=[AuditEntryOut.model_validate(entry, from_attributes=True) for entry in page],
            before=page[-1].number if len(entries) > limit else None,
        )

    @router.get("/audit/verify", responses=declared())
    async def verify_audit_log(_access: Access = Depends(may_read)) -> VerdictOut:
        """Compute the chain again, from the first entry to the last."""
        try:
            verdict = await _there(log).verify()
        except StoreError as error:
            raise _unavailable() from error
        return VerdictOut(
            whole=verdict.first_bad is None, first_bad=verdict.first_bad, count=verdict.count, head=verdict.head
        )

    return router


def _there(log: AuditLog | None) -> AuditLog:
    if log is None:
        raise no_store()
    return log


def _unavailable() -> ApiError:
    return ApiError(503, "store-unavailable", "The audit log can't be read now.")
