"""The whole document: read, checked, planned, replaced."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from controlplane.admin.answers import AppliedOut, PlanOut
from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, YAML, parse_json, read_document
from controlplane.admin.changes import ORIGIN, Changes, Point, Proposal, Propose
from controlplane.admin.editing import emit
from controlplane.admin.editing.splices import same
from controlplane.admin.errors import ApiError, MistakeOut, declared, mistake_of, pointer_to
from controlplane.admin.etags import check_preconditions, document_tag, is_unchanged, live_tag
from controlplane.admin.parameters import IfMatch, IfNoneMatch, Message, Wait
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToChange
from controlplane.admin.security.identity import Role
from controlplane.config.parts import is_in_parts, parse_parts
from controlplane.config.problems import ConfigError
from controlplane.config.yaml_text import parse_yaml
from controlplane.live import Live

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            YAML[0]: {"schema": {"$ref": "#/components/schemas/Document"}},
            JSON: {"schema": {"$ref": "#/components/schemas/Document"}},
        },
    }
}
_DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/Document"}},
            YAML[0]: {"schema": {"$ref": "#/components/schemas/Document"}},
        },
        "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
    },
    304: {"description": "It is what If-None-Match names."},
}


class ValidOut(BaseModel):
    """A document without mistakes."""

    listeners: int
    upstreams: int
    routes: int
    warnings: list[MistakeOut]
    """What is allowed and perhaps not meant."""


def document_router(changes: Changes, trail: AuditTrail) -> APIRouter:
    """Routes about the whole document."""
    router = api_router("document")
    may_read, may_put = Needs(Role.VIEWER), NeedsToChange("document.put", trail)

    @router.post("/validate", openapi_extra=_BODY, responses=declared(413, 415, 422))
    async def validate_document(request: Request, _access: Access = Depends(may_read)) -> ValidOut:
        """Check a document without applying it; 422 names every mistake."""
        compiled = await changes.compiled(await _proposed(request, None))
        gateway = compiled.gateway
        return ValidOut(
            listeners=len(gateway.listeners),
            upstreams=len(gateway.upstreams),
            routes=len(gateway.routes),
            warnings=[mistake_of(warning) for warning in compiled.warnings],
        )

    @router.post("/plan", openapi_extra=_BODY, responses=declared(413, 415, 422))
    async def plan_document(request: Request, _access: Access = Depends(may_read)) -> PlanOut:
        """What would change if this document were applied."""
        return await changes.plan(await _proposed(request, changes.live))

    @router.get("/document", response_class=Response, responses={**_DOCUMENT, **declared(404, 406)})
    async def get_document(
        request: Request, _if_none_match: IfNoneMatch = None, _access: Access = Depends(may_read)
    ) -> Response:
        """The document that is live: as it was written (YAML), or as JSON when `Accept` prefers it."""
        live = changes.live
        if live is None:
            raise ApiError(404, "nothing-live", "No document is live yet.")
        tag = live_tag(live)
        headers = {"etag": tag, "vary": "accept"}
        if is_unchanged(request, tag):
            return Response(status_code=304, headers=headers)
        if _prefers_json(request.headers.get("accept", "*/*")):
            return JSONResponse(await asyncio.to_thread(_data, live.text), headers=headers)
        return Response(live.text, media_type=YAML[0], headers=headers)

    @router.put("/document", openapi_extra=_BODY, responses=declared(409, 412, 413, 415, 422, 428))
    async def put_document(
        request: Request,
        response: Response,
        message: Message = "",
        wait: Wait = 0.0,
        _if_match: IfMatch = None,
        access: Access = Depends(may_put),
    ) -> AppliedOut | PlanOut:
        """Replace the document, and wait until the nodes have it if `wait` says so. With `dry_run`, the plan."""

        async def prepare() -> Propose:
            received = await _proposed(request, None)
            return replacing(request, changes, received.text)

        done = await changes.make(access, prepare, message=message, wait=wait, again="if-match" in request.headers)
        if isinstance(done, AppliedOut):
            response.headers["etag"] = document_tag(done.revision, done.digest)
        return done

    return router


def replacing(request: Request, changes: Changes, text: bytes, point: Point = pointer_to) -> Propose:
    """What puts ``text`` in the place of what is live, if that is what the request is meant for."""

    def propose(live: Live | None) -> Proposal:
        tags = [live_tag(live)] if live is not None else []
        check_preconditions(request, tags, exists=live is not None, required=changes.if_match_required)
        return Proposal(text=text, base=live, point=point)

    return propose


async def _proposed(request: Request, base: Live | None) -> Proposal:
    body, is_json = await read_document(request)
    if is_json:
        body = await asyncio.to_thread(_json_as_yaml, body)
    return Proposal(text=body, base=base)


def _json_as_yaml(body: bytes) -> bytes:
    """JSON is YAML, but for some of its escapes: what would be read as something else is written anew."""
    value = parse_json(body)
    try:
        if same(parse_yaml(body, origin=ORIGIN).data, value):
            return body
    except ConfigError:
        pass
    return f"{emit.flow(value)}\n".encode(errors="surrogatepass")


def _data(text: bytes) -> Any:
    read = parse_parts if is_in_parts(text) else parse_yaml
    return read(text, origin=ORIGIN).data


def _prefers_json(accept: str) -> bool:
    """Whether JSON is wanted more than YAML, by quality and then by order (RFC 9110 §12.5.1).

    Raises:
        ApiError: 406, neither is.
    """
    best, chosen = 0.0, None
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((_quality(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
        kind = (
            "json" if media_type == JSON else "yaml" if media_type in (*YAML, "*/*", "application/*", "text/*") else ""
        )
        if kind and quality > best:
            best, chosen = quality, kind
    if chosen is None:
        raise ApiError(406, "not-acceptable", f"There is {YAML[0]} and {JSON}.")
    return chosen == "json"


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
