"""Everything out, and everything in again: revisions, audit log and tokens (without secrets), a JSON value a line."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.changes import no_store
from controlplane.admin.errors import ApiError, declared
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.store import Store, StoreError, TransferError
from controlplane.store.audit import IMPORT_ACTION

MEDIA_TYPE = "application/x-ndjson"
LARGEST_LINE = 8 * 1024 * 1024
"""A revision's text has at most 4 MiB, and JSON escapes."""
LARGEST_IMPORT = 1024 * 1024 * 1024

_log = structlog.get_logger(__name__)


class ImportedOut(BaseModel):
    """What was taken in."""

    counts: dict[str, int]
    """How many of each kind."""


def transfer_router(store: Store | None, trail: AuditTrail) -> APIRouter:
    """Routes about all that is stored."""
    router = api_router("transfer")
    may_export, may_import = Needs(Role.ADMIN), NeedsToWrite(Role.ADMIN, IMPORT_ACTION, trail)
    lines = {MEDIA_TYPE: {"schema": {"type": "string"}}}

    @router.get("/export", response_class=Response, responses={200: {"content": lines}, **declared()})
    async def export_everything(request: Request, _access: Access = Depends(may_export)) -> Response:
        """Everything that is stored. Without its last line (`"kind": "end"`) it is not whole."""
        if store is None:
            raise no_store()
        if getattr(request.state, "head", False):
            return Response(media_type=MEDIA_TYPE)
        return StreamingResponse(_exported(store), media_type=MEDIA_TYPE)

    @router.post(
        "/import",
        openapi_extra={"requestBody": {"required": True, "content": lines}},
        responses=declared(409, 413, 415, 422),
    )
    async def import_everything(request: Request, access: Access = Depends(may_import)) -> ImportedOut:
        """Take in what `export` gave, whole or not at all, into a store that is empty.

        The audit log comes along: what was noted of attempts to import then follows its entries.
        """
        async with trail.write(access.deed) as entry:
            if store is None:
                raise no_store()
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
                raise ApiError(415, "unsupported-media-type", f"This is sent as {MEDIA_TYPE}.")
            await entry.intend()
            counts = await _imported(store, request)
            entry.result["counts"] = counts
        return ImportedOut(counts=counts)

    return router


async def _exported(store: Store) -> AsyncIterator[str]:
    try:
        async for line in store.export():
            yield line
    except StoreError as error:
        # The answer has begun: that its end is missing says the rest.
        _log.error("an export broke off", reason=str(error))


async def _imported(store: Store, request: Request) -> dict[str, int]:
    try:
        return dict(await store.import_lines(_lines(request)))
    except TransferError as error:
        raise ApiError(422, "not-importable", f"{error}.") from error
    except StoreError as error:
        raise ApiError(503, "store-unavailable", "The store does not answer: nothing was taken in.") from error


async def _lines(request: Request) -> AsyncIterator[bytes]:
    buffer = bytearray()
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        buffer += chunk
        *whole, rest = bytes(buffer).split(b"\n") if b"\n" in chunk else (bytes(buffer),)
        buffer = bytearray(rest)
        if taken > LARGEST_IMPORT or max(map(len, (*whole, rest))) > LARGEST_LINE:
            raise ApiError(413, "too-large", f"A line has at most {LARGEST_LINE} bytes, all together {LARGEST_IMPORT}.")
        for line in whole:
            yield line
    if buffer:
        yield bytes(buffer)
