"""Rate limits of the live document, and other amounts for single callers of them: in force within a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, MERGE_PATCH, read_json
from controlplane.admin.changes import no_store
from controlplane.admin.errors import ApiError, declared
from controlplane.admin.etags import check_preconditions
from controlplane.admin.limit_bodies import (
    LimitOut,
    OverrideOut,
    OverridePageOut,
    limit_out,
    override_out,
    read_change,
    read_new,
    settled,
    written,
)
from controlplane.admin.merge_patch import merge_patch
from controlplane.admin.parameters import IfMatch, Limit
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.limit_overrides import LiveLimit, live_limits
from controlplane.model import Gateway
from controlplane.store import StoreError
from controlplane.store.limit_overrides import (
    LimitOverride,
    LimitOverrideStore,
    NoSuchOverrideError,
    OverrideChangedError,
    OverrideExistsError,
)

_T = TypeVar("_T")
LimitName = Annotated[str, Path(max_length=200)]
_OverrideId = Annotated[str, Path(alias="id", max_length=100)]


def limits_router(store: LimitOverrideStore | None, live: Callable[[], Gateway | None], trail: AuditTrail) -> APIRouter:
    """Routes about limits. ``live`` is what the live document means."""
    router = api_router("limits")
    limits = Limits(live)
    overrides = _Overrides(store)
    may = {
        verb: NeedsToWrite(Role.OPERATOR, f"limits.{verb}-override", trail) for verb in ("create", "change", "delete")
    }
    _add_limits(router, limits)
    _add_reading(router, overrides)
    _add_making(router, limits, overrides, may["create"], trail)
    _add_changing(router, limits, overrides, may["change"], trail)
    _add_deleting(router, overrides, may["delete"], trail)
    return router


def _add_limits(router: APIRouter, limits: Limits) -> None:
    may_read = Needs(Role.VIEWER)

    @router.get("/limits", responses=declared(422))
    async def list_limits(_access: Access = Depends(may_read)) -> list[LimitOut]:
        """The rate limits of the live document by name, and which routes have them."""
        return [limit_out(one) for one in limits.all()]

    @router.get("/limits/{name}", responses=declared(404, 422))
    async def get_limit(name: LimitName, _access: Access = Depends(may_read)) -> LimitOut:
        """One of them."""
        return limit_out(limits.find(name))


def _add_reading(router: APIRouter, overrides: _Overrides) -> None:
    may_read = Needs(Role.OPERATOR)

    @router.get("/limits/{name}/overrides", responses=declared(422))
    async def list_overrides(
        name: LimitName,
        limit: Limit = 50,
        after: str | None = Query(None, max_length=100, description="`after` of the page before."),
        _access: Access = Depends(may_read),
    ) -> OverridePageOut:
        """Callers with other amounts than the limit's, the last changed first; those of a limit that is gone too."""
        found = await asked(overrides.there.page(name, after, limit + 1))
        page = found[:limit]
        return OverridePageOut(
            items=[override_out(one) for one in page], after=page[-1].id if len(found) > limit else None
        )

    @router.get("/limits/{name}/overrides/{id}", response_model=OverrideOut, responses=declared(404, 422))
    async def get_override(name: LimitName, override_id: _OverrideId, _access: Access = Depends(may_read)) -> Response:
        """One of them."""
        return _with_tag(await overrides.find(name, override_id))


def _add_making(
    router: APIRouter, limits: Limits, overrides: _Overrides, may_create: NeedsToWrite, trail: AuditTrail
) -> None:
    @router.post(
        "/limits/{name}/overrides",
        status_code=201,
        openapi_extra=body_of("OverrideIn"),
        responses=declared(404, 409, 413, 415, 422),
    )
    async def create_override(
        request: Request, response: Response, name: LimitName, access: Access = Depends(may_create)
    ) -> OverrideOut:
        """Give one caller another amount, no limit at all, or nothing."""
        async with trail.write(access.deed) as entry:
            value = await read_json(request)
            wanted = read_new(value, limits.find(name), datetime.now(UTC))
            await entry.intend(id=wanted.id, caller=list(wanted.caller), **written(wanted))
            made = await asked(overrides.there.create(wanted))
        response.headers["location"] = f"{request.url.path}/{made.id}"
        response.headers["etag"] = _tag(made)
        return override_out(made)


def _add_changing(
    router: APIRouter, limits: Limits, overrides: _Overrides, may_change: NeedsToWrite, trail: AuditTrail
) -> None:
    @router.patch(
        "/limits/{name}/overrides/{id}",
        response_model=OverrideOut,
        openapi_extra=body_of("OverrideChangeIn", MERGE_PATCH),
        responses=declared(404, 409, 412, 413, 415, 422),
    )
    async def change_override(
        request: Request,
        name: LimitName,
        override_id: _OverrideId,
        _if_match: IfMatch = None,
        access: Access = Depends(may_change),
    ) -> Response:
        """Change what a caller may do, until when, or the note (JSON Merge Patch, RFC 7396): null removes."""
        async with trail.write(access.deed) as entry:
            patch = settled(await read_json(request, media_type=MERGE_PATCH))
            override = await overrides.find(name, override_id)
            check_preconditions(request, [_tag(override)])
            now = datetime.now(UTC)
            wanted = read_change(merge_patch(written(override), patch), limits.get(name), now)
            changed = replace(override, **wanted, changed_at=now)
            await entry.intend(id=override.id, caller=list(override.caller), **written(changed))
            return _with_tag(await asked(overrides.there.replace(changed)))


def _add_deleting(router: APIRouter, overrides: _Overrides, may_delete: NeedsToWrite, trail: AuditTrail) -> None:
    @router.delete("/limits/{name}/overrides/{id}", status_code=204, responses=declared(404, 422))
    async def delete_override(
        name: LimitName, override_id: _OverrideId, access: Access = Depends(may_delete)
    ) -> Response:
        """Let the limit itself count for the caller again; what was taken stays taken."""
        async with trail.write(access.deed) as entry:
            override = await overrides.find(name, override_id)
            await entry.intend(id=override.id, caller=list(override.caller))
            if not await asked(overrides.there.remove(override_id, datetime.now(UTC))):
                raise _no_such_override()
        return Response(status_code=204)


class Limits:
    """Those of the live document."""

    def __init__(self, live: Callable[[], Gateway | None]) -> None:
        self._live = live

    def all(self) -> list[LiveLimit]:
        """All of them, by name."""
        return list(live_limits(self._live()))

    def get(self, name: str) -> LiveLimit | None:
        """One of them, if there is one of this name."""
        return next((one for one in self.all() if one.limit.name == name), None)

    def find(self, name: str) -> LiveLimit:
        """One of them.

        Raises:
            ApiError: 404, there is none of this name.
        """
        found = self.get(name)
        if found is None:
            raise ApiError(404, "no-such-limit", "The live document has no rate limit of this name.")
        return found


class _Overrides:
    """The store, if there is one."""

    def __init__(self, store: LimitOverrideStore | None) -> None:
        self._store = store

    @property
    def there(self) -> LimitOverrideStore:
        if self._store is None:
            raise no_store()
        return self._store

    async def find(self, name: str, override_id: str) -> LimitOverride:
        found = await asked(self.there.find(override_id))
        if found is None or found.limit != name:
            raise _no_such_override()
        return found


def _no_such_override() -> ApiError:
    return ApiError(404, "no-such-override", "The limit has no override of this id.")


def body_of(schema: str, media_type: str = JSON) -> dict[str, Any]:
    """How the description says what an operation is sent."""
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}


def _tag(override: LimitOverride) -> str:
    return f'"o-{override.change}"'


def _with_tag(override: LimitOverride) -> Response:
    return JSONResponse(override_out(override).model_dump(mode="json"), headers={"etag": _tag(override)})


async def asked(question: Awaitable[_T]) -> _T:
    """What the store of overrides answers.

    Raises:
        ApiError: what has gone wrong, in the API's words.
    """
    try:
        return await question
    except StoreError as error:
        raise ApiError(503, "store-unavailable", "The store of overrides does not answer.") from error
    except NoSuchOverrideError as error:
        raise _no_such_override() from error
    except OverrideExistsError as error:
        raise ApiError(409, "exists", "This caller has an override already: change or delete that.") from error
    except OverrideChangedError as error:
        raise ApiError(409, "changed", "Somebody else has just changed this override: read it again.") from error
