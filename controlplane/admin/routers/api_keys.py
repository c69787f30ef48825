"""API keys: made, listed, changed, rotated, revoked. Every ext_authz follows within a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from controlplane.admin.api_key_bodies import (
    ApiKeyChangeIn,
    ApiKeyOut,
    ApiKeyPageOut,
    NewApiKeyOut,
    read_change,
    read_new,
    read_rotation,
)
from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, MERGE_PATCH, read_json
from controlplane.admin.changes import no_store
from controlplane.admin.errors import ApiError, declared
from controlplane.admin.etags import check_preconditions
from controlplane.admin.merge_patch import merge_patch
from controlplane.admin.parameters import IfMatch, Limit
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.api_keys import KeyMaker
from controlplane.model import Gateway
from controlplane.store import StoreError
from controlplane.store.api_keys import ApiKey, ApiKeyStore, KeyChangedError, KeyFilter, NoSuchKeyError

_T = TypeVar("_T")
_KeyId = Annotated[str, Path(alias="id", max_length=100)]
_VERBS: Final = ("create", "change", "rotate", "revoke")


def api_keys_router(
    store: ApiKeyStore | None, maker: KeyMaker | None, live: Callable[[], Gateway | None], trail: AuditTrail
) -> APIRouter:
    """Routes about API keys. ``live`` is what the live document means; ``maker`` is ``None`` without a secret."""
    router = api_router("API keys")
    keys = _Keys(store)
    may = {verb: NeedsToWrite(Role.OPERATOR, f"api-keys.{verb}", trail) for verb in _VERBS}
    _add_reading(router, keys)
    _add_making(router, keys, maker, live, may["create"], trail)
    _add_changing(router, keys, may["change"], trail)
    _add_rotating(router, keys, maker, may["rotate"], trail)
    _add_revoking(router, keys, may["revoke"], trail)
    return router


def _add_reading(router: APIRouter, keys: _Keys) -> None:
    may_read = Needs(Role.OPERATOR)

    @router.get("/api-keys", responses=declared(422))
    async def list_api_keys(
        limit: Limit = 50,
        after: str | None = Query(None, max_length=100, description="`after` of the page before."),
        provider: str | None = Query(None, max_length=200, description="Only keys for this provider."),
        owner: str | None = Query(None, max_length=200, description="Only keys of this owner."),
        revoked: bool | None = Query(None, description="Only keys that were revoked, or only those that were not."),
        _access: Access = Depends(may_read),
    ) -> ApiKeyPageOut:
        """Keys without their secrets, newest first; revoked and ended ones too."""
        wanted = KeyFilter(provider=provider, owner=owner, is_revoked=revoked)
        found = await _asked(keys.there.page(wanted, after, limit + 1))
        page = found[:limit]
        return ApiKeyPageOut(items=[_shown(key) for key in page], after=page[-1].id if len(found) > limit else None)

    @router.get("/api-keys/{id}", response_model=ApiKeyOut, responses=declared(404, 422))
    async def get_api_key(key_id: _KeyId, _access: Access = Depends(may_read)) -> Response:
        """One key, without its secret."""
        return _with_tag(await keys.find(key_id))


def _add_making(
    router: APIRouter,
    keys: _Keys,
    maker: KeyMaker | None,
    live: Callable[[], Gateway | None],
    may_create: NeedsToWrite,
    trail: AuditTrail,
) -> None:
    @router.post(
        "/api-keys",
        status_code=201,
        openapi_extra=_body("ApiKeyIn"),
        responses=declared(413, 415, 422),
    )
    async def create_api_key(
        request: Request, response: Response, access: Access = Depends(may_create)
    ) -> NewApiKeyOut:
        """Make a key. What its bearer sends is in this answer only."""
        async with trail.write(access.deed) as entry:
            now = datetime.now(UTC)
            wanted = read_new(await read_json(request), live(), now)
            key, text = _able(maker).make(now, provider=wanted.provider, **_members(wanted))
            await entry.intend(id=key.id, provider=key.provider, **_told(key))
            made = await _asked(keys.there.create(key))
        response.headers["location"] = f"/api/v1/api-keys/{made.id}"
        response.headers["etag"] = _tag(made)
        return NewApiKeyOut(**_shown(made).model_dump(), key=text)


def _add_changing(router: APIRouter, keys: _Keys, may_change: NeedsToWrite, trail: AuditTrail) -> None:
    @router.patch(
        "/api-keys/{id}",
        response_model=ApiKeyOut,
        openapi_extra=_body("ApiKeyChangeIn", MERGE_PATCH),
        responses=declared(404, 409, 412, 413, 415, 422),
    )
    async def change_api_key(
        request: Request, key_id: _KeyId, _if_match: IfMatch = None, access: Access = Depends(may_change)
    ) -> Response:
        """Change owner, tier, scopes, metadata or end (JSON Merge Patch, RFC 7396): null removes."""
        async with trail.write(access.deed) as entry:
            patch = await read_json(request, media_type=MERGE_PATCH)
            key = await keys.find(key_id, usable=True)
            check_preconditions(request, [_tag(key)])
            written = _shown(key).model_dump(mode="json", include=set(ApiKeyChangeIn.model_fields))
            wanted = read_change(merge_patch(written, patch), datetime.now(UTC))
            changed = replace(key, **_members(wanted))
            await entry.intend(id=key.id, **_told(changed))
            return _with_tag(await _asked(keys.there.replace(changed)))


def _add_rotating(
    router: APIRouter, keys: _Keys, maker: KeyMaker | None, may_rotate: NeedsToWrite, trail: AuditTrail
) -> None:
    @router.post(
        "/api-keys/{id}/rotate",
        openapi_extra=_body("RotationIn"),
        responses=declared(404, 409, 412, 413, 415, 422),
    )
    async def rotate_api_key(
        request: Request,
        response: Response,
        key_id: _KeyId,
        _if_match: IfMatch = None,
        access: Access = Depends(may_rotate),
    ) -> NewApiKeyOut:
        """Give a key another secret: it is in this answer only, and the one before is good for a while."""
        async with trail.write(access.deed) as entry:
            wanted = read_rotation(await read_json(request))
            key = await keys.find(key_id, usable=True)
            check_preconditions(request, [_tag(key)])
            overlap = timedelta(seconds=wanted.overlap_seconds)
            rotated, text = _able(maker).rotate(key, datetime.now(UTC), overlap)
            await entry.intend(id=key.id, overlap_seconds=wanted.overlap_seconds)
            made = await _asked(keys.there.replace(rotated))
        response.headers["etag"] = _tag(made)
        return NewApiKeyOut(**_shown(made).model_dump(), key=text)


def _add_revoking(router: APIRouter, keys: _Keys, may_revoke: NeedsToWrite, trail: AuditTrail) -> None:
    @router.delete("/api-keys/{id}", status_code=204, responses=declared(404, 422))
    async def revoke_api_key(key_id: _KeyId, access: Access = Depends(may_revoke)) -> Response:
        """Revoke a key for good: within a second it opens nothing, however often it was used before."""
        async with trail.write(access.deed) as entry:
            key = await keys.find(key_id)
            await entry.intend(id=key.id, owner=key.owner)
            await _asked(keys.there.revoke(key_id))
        return Response(status_code=204)


class _Keys:
    """The store, if there is one."""

    def __init__(self, store: ApiKeyStore | None) -> None:
        self._store = store

    @property
    def there(self) -> ApiKeyStore:
        if self._store is None:
            raise no_store()
        return self._store

    async def find(self, key_id: str, *, usable: bool = False) -> ApiKey:
        """One key; ``usable`` ones were not revoked."""
        key = await _asked(self.there.find(key_id))
        if key is None or (usable and key.revoked_at is not None):
            raise _no_such_key()
        return key


def _no_such_key() -> ApiError:
    return ApiError(404, "no-such-key", "There is no API key of this id, or it was revoked.")


def _able(maker: KeyMaker | None) -> KeyMaker:
    if maker is None:
        raise ApiError(503, "no-api-key-secret", "API keys can't be made: set GATEWAY_API_KEY_SECRET.")
    return maker


def _body(schema: str, media_type: str = JSON) -> dict[str, Any]:
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}


def _members(wanted: ApiKeyChangeIn) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in ApiKeyChangeIn.model_fields} | {"scopes": tuple(wanted.scopes)}


def _told(key: ApiKey) -> dict[str, Any]:
    """What the audit log says of it."""
    return _shown(key).model_dump(mode="json", include=set(ApiKeyChangeIn.model_fields))


def _shown(key: ApiKey) -> ApiKeyOut:
    members = {name: getattr(key, name) for name in ApiKeyOut.model_fields}
    return ApiKeyOut(**members | {"scopes": list(key.scopes), "metadata": dict(key.metadata)})


def _tag(key: ApiKey) -> str:
    return f'"k-{key.change}"'


def _with_tag(key: ApiKey) -> Response:
    return JSONResponse(_shown(key).model_dump(mode="json"), headers={"etag": _tag(key)})


async def _asked(question: Awaitable[_T]) -> _T:
    try:
        return await question
    except StoreError as error:
        raise ApiError(503, "store-unavailable", "The store of API keys does not answer.") from error
    except NoSuchKeyError as error:
        raise _no_such_key() from error
    except KeyChangedError as error:
        raise ApiError(409, "changed", "Somebody else has just changed this key: read it again.") from error
