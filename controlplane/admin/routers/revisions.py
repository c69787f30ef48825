"""The history: every accepted document, what changed between two, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from controlplane.admin.answers import AppliedOut, ChangeOut, GroupChangesOut, PlanOut, changes_between, group_changes
from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.changes import Changes, Propose, no_store
from controlplane.admin.errors import ApiError, declared, invalid, mistake_of
from controlplane.admin.etags import document_tag
from controlplane.admin.parameters import Before, IfMatch, Limit, Message, Number, Wait
from controlplane.admin.routers.document import replacing
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToChange
from controlplane.admin.security.identity import Role
from controlplane.compiler import Compiled
from controlplane.config import ConfigError
from controlplane.pipeline import Pipeline
from controlplane.store import LARGEST_NUMBER, Outcome, Revision, RevisionHead, RevisionStore, StoreError

_OtherNumber = Annotated[int, Query(ge=1, le=LARGEST_NUMBER, description="The number of the revision to compare with.")]


class RevisionHeadOut(BaseModel):
    """One revision without its text."""

    number: int
    created_at: datetime
    author: str
    origin: str
    message: str
    digest: str
    """SHA-256 of the text, in hex."""
    outcome: Outcome
    groups: dict[str, Any] = {}
    """What became of it in each node group, and who has refused it in which words."""


class RevisionOut(RevisionHeadOut):
    """One revision."""

    text: str
    """The document as it was written."""


class RevisionPageOut(BaseModel):
    """Some revisions, newest first."""

    items: list[RevisionHeadOut]
    before: int | None
    """The `before` of the next page; null on the last."""


class DifferenceOut(BaseModel):
    """What changes from one revision to another. Revisions that mean the same have no changes."""

    before: int
    after: int
    changes: list[ChangeOut]
    groups: list[GroupChangesOut]


def revisions_router(store: RevisionStore | None, pipeline: Pipeline, changes: Changes, trail: AuditTrail) -> APIRouter:
    """Routes about the history."""
    router = api_router("revisions")
    may_read, may_roll_back = Needs(Role.VIEWER), NeedsToChange("revisions.rollback", trail)

    @router.get("/revisions", responses=declared(422))
    async def list_revisions(
        before: Before = None,
        limit: Limit = 50,
        author: str | None = Query(None, max_length=500, description="Only what this one wanted."),
        outcome: Outcome | None = Query(None, description="Only those of which this became."),
        _access: Access = Depends(may_read),
    ) -> RevisionPageOut:
        """The history, newest first."""
        async with asked(store) as revisions:
            heads = await revisions.page(before, limit + 1, author=author, outcome=outcome)
        more = len(heads) > limit
        return RevisionPageOut(
            items=[RevisionHeadOut(**_head(head)) for head in heads[:limit]],
            before=heads[limit - 1].number if more else None,
        )

    @router.get("/revisions/{number}", responses=declared(404, 422))
    async def get_revision(number: Number, _access: Access = Depends(may_read)) -> RevisionOut:
        """One revision with its text."""
        found = await _find(store, number)
        return RevisionOut(**_head(found), text=found.text.decode("utf-8", errors="replace"))

    @router.get("/revisions/{number}/diff", responses=declared(404, 422))
    async def diff_revisions(number: Number, to: _OtherNumber, _access: Access = Depends(may_read)) -> DifferenceOut:
        """What changes from this revision to another: in the document's words, and in xDS resources."""
        before, after = await _find(store, number), await _find(store, to)
        return await asyncio.to_thread(_difference, before, after, pipeline)

    @router.post("/revisions/{number}/rollback", responses=declared(404, 409, 412, 422, 428))
    async def roll_back(
        request: Request,
        response: Response,
        number: Number,
        message: Message = "",
        wait: Wait = 0.0,
        _if_match: IfMatch = None,
        access: Access = Depends(may_roll_back),
    ) -> AppliedOut | PlanOut:
        """Make the text of a revision live again, as a new revision."""

        async def prepare() -> Propose:
            return replacing(request, changes, (await _find(store, number)).text, lambda _path: None)

        why = message or f"Roll back to revision {number}"
        done = await changes.make(access, prepare, message=why, wait=wait, again="if-match" in request.headers)
        if isinstance(done, AppliedOut):
            response.headers["etag"] = document_tag(done.revision, done.digest)
        return done

    return router


@asynccontextmanager
async def asked(store: RevisionStore | None) -> AsyncIterator[RevisionStore]:
    """The store, as far as it is there.

    Raises:
        ApiError: 503, it is not.
    """
    if store is None:
        raise no_store()
    try:
        yield store
    except StoreError as error:
        raise ApiError(503, "store-unavailable", "The history can't be read now.") from error


async def _find(store: RevisionStore | None, number: int) -> Revision:
    async with asked(store) as revisions:
        found = await revisions.get(number)
    if found is None:
        raise ApiError(404, "no-such-revision", f"There is no revision {number}, or it was pruned.")
    return found


def _head(head: RevisionHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in RevisionHeadOut.model_fields}


def _difference(before: Revision, after: Revision, pipeline: Pipeline) -> DifferenceOut:
    old, new = _compiled(before, pipeline), _compiled(after, pipeline)
    return DifferenceOut(
        before=before.number,
        after=after.number,
        changes=changes_between(old.gateway, new.gateway),
        groups=group_changes(old.release, new.release),
    )


def _compiled(revision: Revision, pipeline: Pipeline) -> Compiled:
    try:
        return pipeline.recall(revision)
    except ConfigError as error:
        detail = f"Revision {revision.number} was right once, but this version of the gateway refuses it."
        mistakes = [mistake_of(one) for one in error.problems]
        raise invalid(mistakes, detail=detail, code="invalid-document", unlisted=error.unlisted) from None
