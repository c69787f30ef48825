"""One section of the document by name: listed, read, put, patched, deleted; the rest of the text stays as it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from controlplane.admin.answers import AppliedOut, PlanOut
from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, MERGE_PATCH
from controlplane.admin.changes import Changes
from controlplane.admin.editing import Resource, Section
from controlplane.admin.errors import declared
from controlplane.admin.etags import is_unchanged, resource_tag
from controlplane.admin.parameters import IfMatch, IfNoneMatch, Limit, Message, Wait
from controlplane.admin.resource_edits import ResourceEdits, Wish, mistaken
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToChange
from controlplane.admin.security.identity import Role

Name = Annotated[str, Path(min_length=1, max_length=500, description="Names of routes may hold slashes.")]


class ResourceOut(BaseModel):
    """One member of a section."""

    name: str
    """What it is called here; of a route without a name, the one that is derived."""
    etag: str
    value: Any
    """As it is written in the document."""


class ResourcePageOut(BaseModel):
    """Some members of a section, in the document's order."""

    items: list[ResourceOut]
    after: str | None
    """The `after` of the next page; null on the last."""


def resources_router(section: Section, changes: Changes, trail: AuditTrail) -> APIRouter:
    """Routes about one section."""
    router = api_router(section.name)
    edits = ResourceEdits(section, changes)
    _add_list(router, edits)
    _add_get(router, edits)
    _add_put(router, edits, NeedsToChange(f"{section.name}.put", trail))
    _add_patch(router, edits, NeedsToChange(f"{section.name}.patch", trail))
    _add_delete(router, edits, NeedsToChange(f"{section.name}.delete", trail))
    return router


def schema_name(section: Section) -> str:
    """What the OpenAPI document calls the members of a section."""
    return f"Document{section.model.__name__}"


def _add_list(router: APIRouter, edits: ResourceEdits) -> None:
    may_read = Needs(Role.VIEWER)

    @router.get(f"/{edits.section.name}", operation_id=f"list_{edits.section.name}", responses=declared(422))
    async def list_members(
        limit: Limit = 50,
        after: str | None = Query(None, max_length=500, description="`after` of the page before."),
        q: str = Query("", max_length=200, description="Only names that contain this, whatever the case."),
        _access: Access = Depends(may_read),
    ) -> ResourcePageOut:
        """What the section holds."""
        members = [member for member in await edits.members() if q.lower() in member.name.lower()]
        if after is not None:
            members = _after(members, after)
        page = members[:limit]
        return ResourcePageOut(
            items=[ResourceOut(name=one.name, etag=resource_tag(one.value), value=one.value) for one in page],
            after=page[-1].name if len(members) > limit else None,
        )


def _add_get(router: APIRouter, edits: ResourceEdits) -> None:
    may_read = Needs(Role.VIEWER)
    answers: dict[int | str, dict[str, Any]] = {
        200: {
            "content": {JSON: {"schema": _schema(edits.section)}},
            "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
        },
        304: {"description": "It is what If-None-Match names."},
    }

    @router.get(
        _path(edits.section),
        operation_id=f"get_{edits.section.singular}",
        response_class=JSONResponse,
        response_model=None,
        responses=answers | declared(404, 422),
    )
    async def get_member(
        request: Request, name: Name, _if_none_match: IfNoneMatch = None, _access: Access = Depends(may_read)
    ) -> Response:
        """One member, as it is written."""
        found = await edits.get(name)
        headers = {"etag": resource_tag(found.value)}
        if is_unchanged(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        return JSONResponse(found.value, headers=headers)


def _add_put(router: APIRouter, edits: ResourceEdits, may_put: NeedsToChange) -> None:
    @router.put(
        _path(edits.section),
        operation_id=f"put_{edits.section.singular}",
        openapi_extra=_body(JSON, _schema(edits.section)),
        responses=declared(404, 409, 412, 413, 415, 422, 428),
    )
    async def put_member(
        request: Request,
        name: Name,
        before: str | None = Query(None, max_length=500, description="Put a new one before the one of this name."),
        position: int | None = Query(None, ge=0, le=1_000_000, description="Put a new one at this place, from 0."),
        message: Message = "",
        wait: Wait = 0.0,
        _if_match: IfMatch = None,
        _if_none_match: IfNoneMatch = None,
        access: Access = Depends(may_put),
    ) -> AppliedOut | PlanOut:
        """Replace a member, or add it (at the end, unless told otherwise)."""
        wish = Wish(request=request, access=access, name=name, message=message, wait=wait)
        return await edits.put(wish, before=before, position=position)


def _add_patch(router: APIRouter, edits: ResourceEdits, may_patch: NeedsToChange) -> None:
    @router.patch(
        _path(edits.section),
        operation_id=f"patch_{edits.section.singular}",
        openapi_extra=_body(MERGE_PATCH, {"type": "object"}),
        responses=declared(404, 409, 412, 413, 415, 422, 428),
    )
    async def patch_member(
        request: Request,
        name: Name,
        message: Message = "",
        wait: Wait = 0.0,
        _if_match: IfMatch = None,
        access: Access = Depends(may_patch),
    ) -> AppliedOut | PlanOut:
        """Change some of a member (JSON Merge Patch, RFC 7396): null removes a key."""
        wish = Wish(request=request, access=access, name=name, message=message, wait=wait)
        return await edits.patch(wish)


def _add_delete(router: APIRouter, edits: ResourceEdits, may_delete: NeedsToChange) -> None:
    @router.delete(
        _path(edits.section),
        operation_id=f"delete_{edits.section.singular}",
        responses=declared(404, 409, 412, 422, 428),
    )
    async def delete_member(
        request: Request,
        name: Name,
        message: Message = "",
        wait: Wait = 0.0,
        _if_match: IfMatch = None,
        access: Access = Depends(may_delete),
    ) -> AppliedOut | PlanOut:
        """Delete a member. 422 when something refers to it."""
        return await edits.delete(Wish(request=request, access=access, name=name, message=message, wait=wait))


def _path(section: Section) -> str:
    return f"/{section.name}/{{name:path}}"


def _schema(section: Section) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema_name(section)}"}


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _after(members: list[Resource], name: str) -> list[Resource]:
    names = [member.name for member in members]
    if name not in names:
        raise mistaken("/query/after", "unknown-cursor", "nothing of that name is there any more: begin anew")
    return members[names.index(name) + 1 :]
