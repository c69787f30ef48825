"""``/api/v1/revisions``: the history, and what changed from one revision to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from controlplane.admin.errors import ApiError
from controlplane.config import ConfigError, GatewayConfig, load_document
from controlplane.difference import compare_gateways, compare_snapshots
from controlplane.model import Gateway
from controlplane.store import LARGEST_NUMBER, Outcome, Revision, RevisionHead, RevisionStore, StoreError
from controlplane.xds.snapshot import Snapshot

_Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER, description="The number of a revision.")]
_OtherNumber = Annotated[int, Query(ge=1, le=LARGEST_NUMBER, description="The number of the revision to compare with.")]


class Compiled(Protocol):
    """What a document means, and what nodes would get."""

    @property
    def gateway(self) -> Gateway:
        """The resolved gateway."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """What it is translated to."""
        ...


Compile = Callable[[GatewayConfig], Compiled]
"""Blocks; raises :class:`~controlplane.config.ConfigError`."""


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


class RevisionOut(RevisionHeadOut):
    """One revision."""

    text: str
    """The document as it was written."""


class RevisionPageOut(BaseModel):
    """Some revisions, newest first."""

    items: list[RevisionHeadOut]
    before: int | None
    """The ``before`` of the next page; ``null`` on the last."""


class FieldChangeOut(BaseModel):
    """One value that is another now."""

    path: str
    before: Any
    after: Any


class ChangeOut(BaseModel):
    """One listener, upstream, route, provider or limit that came, went, or changed."""

    section: Literal["listeners", "upstreams", "routes", "identity_providers", "rate_limits"]
    name: str
    kind: Literal["added", "removed", "changed"]
    fields: list[FieldChangeOut]


class ResourceChangesOut(BaseModel):
    """Names of the xDS resources of one type that change."""

    type_url: str
    added: list[str]
    removed: list[str]
    changed: list[str]


class DifferenceOut(BaseModel):
    """What changes from one revision to another. Revisions that mean the same have no changes."""

    before: int
    after: int
    changes: list[ChangeOut]
    resources: list[ResourceChangesOut]


def revisions_router(store: RevisionStore, compiler: Compile) -> APIRouter:
    """Routes about the history."""
    router = APIRouter(tags=["revisions"])

    @router.get("/revisions")
    async def revisions(
        before: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only below this number.")] = None,
        limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
    ) -> RevisionPageOut:
        """The history, newest first."""
        async with _asked():
            heads = await store.page(before, limit + 1)
        more = len(heads) > limit
        return RevisionPageOut(
            items=[RevisionHeadOut(**_head(head)) for head in heads[:limit]],
            before=heads[limit - 1].number if more else None,
        )

    @router.get("/revisions/{number}")
    async def revision(number: _Number) -> RevisionOut:
        """One revision with its text."""
        found = await _find(store, number)
        return RevisionOut(**_head(found), text=found.text.decode("utf-8", errors="replace"))

    @router.get("/revisions/{number}/diff")
    async def diff(number: _Number, to: _OtherNumber) -> DifferenceOut:
        """What changes from this revision to another: in the document's words, and in xDS resources."""
        before, after = await _find(store, number), await _find(store, to)
        return await asyncio.to_thread(_difference, before, after, compiler)

    return router


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    try:
        yield
    except StoreError as error:
        raise ApiError(503, "store-unavailable", f"The history can't be read now: {error}.") from error


async def _find(store: RevisionStore, number: int) -> Revision:
    async with _asked():
        found = await store.get(number)
    if found is None:
        raise ApiError(404, "no-such-revision", f"There is no revision {number}, or it was pruned.")
    return found


def _head(head: RevisionHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in RevisionHeadOut.model_fields}


def _difference(before: Revision, after: Revision, compiler: Compile) -> DifferenceOut:
    old, new = _compiled(before, compiler), _compiled(after, compiler)
    return DifferenceOut.model_validate(
        {
            "before": before.number,
            "after": after.number,
            "changes": compare_gateways(old.gateway, new.gateway),
            "resources": compare_snapshots(old.snapshot, new.snapshot),
        },
        from_attributes=True,
    )


def _compiled(revision: Revision, compiler: Compile) -> Compiled:
    try:
        return compiler(load_document(revision.text, origin=f"revision {revision.number}"))
    except ConfigError as error:
        problems = [{"where": one.where, "code": one.code, "message": one.message} for one in error.problems]
        detail = f"Revision {revision.number} was right once, but this version of the gateway refuses it."
        raise ApiError(422, "invalid-document", detail, errors=problems) from None
