"""Purges of kept answers. Every cache obeys them within a second."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, read_json
from controlplane.admin.errors import ApiError, MistakeOut, declared, invalid, mistakes_of
from controlplane.admin.parameters import PrintableText
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.model import Gateway
from controlplane.purges import PurgeStore, PurgeStoreError
from servicekit.contracts.purge import Purge


class PurgeIn(BaseModel):
    """Kept answers to forget: those of a route, or those below a path. Exactly one of both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    route: Annotated[PrintableText, Field(min_length=1, max_length=400)] | None = None
    """The name of a route of the live document that has a `cache`."""
    path_prefix: Annotated[PrintableText, Field(pattern="^/[^?#]*$", max_length=2000)] | None = None
    """A path as clients ask for it, without a query, and what lies below it in whole segments; `/` is everything."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.route is None) == (self.path_prefix is None):
            raise ValueError("write either route or path_prefix")
        return self


class PurgeOut(BaseModel):
    """A purge."""

    id: str
    route: str | None
    path_prefix: str | None


def cache_router(store: PurgeStore | None, live: Callable[[], Gateway | None], trail: AuditTrail) -> APIRouter:
    """The route about kept answers. ``live`` is what the live document means."""
    router = api_router("cache")
    may_purge = NeedsToWrite(Role.OPERATOR, "cache.purge", trail)
    body = {"schema": {"$ref": "#/components/schemas/PurgeIn"}}

    @router.post(
        "/cache/purge",
        openapi_extra={"requestBody": {"required": True, "content": {JSON: body}}},
        responses=declared(413, 415, 422),
    )
    async def purge_cache(request: Request, access: Access = Depends(may_purge)) -> PurgeOut:
        """Forget kept answers: within a second, in every cache, those too that are on their way into one."""
        async with trail.write(access.deed) as entry:
            wanted = _wanted(await read_json(request), live())
            if store is None:
                reason = "Purges are told by way of Redis: set GATEWAY_REDIS_URL of the control plane."
                raise ApiError(503, "no-redis", reason)
            out = PurgeOut(id=secrets.token_hex(8), route=wanted.route, path_prefix=wanted.path_prefix)
            await entry.intend(**out.model_dump(mode="json"))
            try:
                await store.add(_purge(out))
            except PurgeStoreError as error:
                detail = "Redis, by way of which caches hear of purges, does not answer."
                raise ApiError(503, "redis-unavailable", detail) from error
        return out

    return router


def _wanted(value: object, live: Gateway | None) -> PurgeIn:
    try:
        wanted = PurgeIn.model_validate(value)
    except ValidationError as error:
        raise _no_purge(mistakes_of(error.errors(include_url=False, include_input=False))) from None
    routes = live.routes if live is not None else ()
    if wanted.route is not None and not any(one.name == wanted.route and one.cache is not None for one in routes):
        message = "the live document has no route of this name that has a cache"
        hint = "write the name of one, or a path_prefix"
        raise _no_purge([MistakeOut(pointer="/route", code="no-effect", message=message, hint=hint)])
    return wanted


def _no_purge(mistakes: list[MistakeOut]) -> ApiError:
    return invalid(mistakes, detail="Nothing was purged.", code="invalid-request")


def _purge(out: PurgeOut) -> Purge:
    prefix = None if out.path_prefix is None else out.path_prefix.rstrip("/")
    return Purge(id=out.id, route=out.route, path_prefix=prefix)
