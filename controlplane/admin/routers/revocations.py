"""Revocations of tokens: made, listed, withdrawn. Every ext_authz obeys them within a second."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, read_json
from controlplane.admin.errors import ApiError, MistakeOut, declared, invalid, mistakes_of
from controlplane.admin.parameters import Limit, PrintableText
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.model import Gateway, JwtProvider
from controlplane.revocations import Listed, RevocationStore, RevocationStoreError, TooManyRevocationsError
from servicekit.contracts.revocation import Revocation, RevokedBy

_T = TypeVar("_T")

_USUAL_TIME: Final = timedelta(days=30)
_LONGEST_TIME: Final = timedelta(days=3660)
_LARGEST_NUMBER: Final = 2**53 - 1
"""Beyond it Redis' numbers are no longer exact."""


class RevocationIn(BaseModel):
    """Tokens to be refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    provider: str = Field(min_length=1, max_length=200)
    """Whose tokens: a name in `authentication` of the live document, whose `jwt` has `revocation`."""
    kind: RevokedBy
    """The claim that tells them: `jti` is one token, `sub` all of a user, `sid` all of a session."""
    value: str = Field(min_length=1, max_length=1024)
    """What the claim says, exactly."""
    issued_before: Annotated[AwareDatetime | None, Field(strict=False)] = None
    """For `sub` and `sid`: only tokens whose `iat` is not after this, and those without one. Now, when it is null."""
    ends_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    """When it is dropped; 30 days from now, when it is null. A token that is still valid then counts again."""
    reason: Annotated[PrintableText, Field(max_length=200)] = ""


class RevocationOut(BaseModel):
    """A revocation."""

    id: str
    provider: str
    kind: RevokedBy
    value: str
    issued_before: datetime | None
    ends_at: datetime
    created_at: datetime
    created_by: str
    reason: str
    withdrawn_at: datetime | None
    """When it was deleted; it is shown until it would have ended."""


class RevocationPageOut(BaseModel):
    """Some revocations, those that were made or withdrawn last first."""

    items: list[RevocationOut]
    before: int | None
    """The `before` of the next page; null on the last."""


def revocations_router(
    store: RevocationStore | None, live: Callable[[], Gateway | None], trail: AuditTrail
) -> APIRouter:
    """Routes about revocations. ``live`` is what the live document means."""
    router = api_router("revocations")
    may_read = Needs(Role.OPERATOR)
    may_create, may_delete = (
        NeedsToWrite(Role.OPERATOR, f"revocations.{verb}", trail) for verb in ("create", "delete")
    )
    body = {"schema": {"$ref": "#/components/schemas/RevocationIn"}}

    @router.get("/revocations", responses=declared(422))
    async def list_revocations(
        limit: Limit = 50,
        before: int | None = Query(None, ge=1, le=_LARGEST_NUMBER, description="`before` of the page before."),
        _access: Access = Depends(may_read),
    ) -> RevocationPageOut:
        """Every revocation that has not ended, withdrawn ones too."""
        found = await _asked(_there(store).page(before=before, limit=limit + 1))
        page = found[:limit]
        return RevocationPageOut(
            items=[_shown(one.revocation) for one in page], before=_next(page) if len(found) > limit else None
        )

    @router.post(
        "/revocations",
        status_code=201,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: body}}},
        responses=declared(409, 413, 415, 422),
    )
    async def create_revocation(
        request: Request,
        response: Response,
        access: Access = Depends(may_create),
    ) -> RevocationOut:
        """Refuse tokens: within a second, at every ext_authz, those too that were accepted before."""
        async with trail.write(access.deed) as entry:
            now = datetime.now(UTC)
            wanted = _wanted(await read_json(request), live(), now)
            revocations = _there(store)
            made = _made(wanted, by=access.deed.actor, now=now)
            await entry.intend(**_shown(made).model_dump(mode="json", exclude={"created_at", "created_by"}))
            await _asked(revocations.add(made, now=now.timestamp()))
        response.headers["location"] = f"/api/v1/revocations/{made.id}"
        return _shown(made)

    @router.delete("/revocations/{id}", status_code=204, responses=declared(404, 422))
    async def delete_revocation(
        revocation_id: str = Path(alias="id", max_length=100),
        access: Access = Depends(may_delete),
    ) -> Response:
        """Take a revocation back: its tokens count again within a second."""
        async with trail.write(access.deed) as entry:
            revocations = _there(store)
            found = await _asked(revocations.find(revocation_id))
            if found is None or found.withdrawn_at is not None:
                raise ApiError(404, "no-such-revocation", "There is no revocation of this id, or no longer.")
            await entry.intend(id=found.id, provider=found.provider, kind=found.kind, value=found.value)
            await _asked(revocations.withdraw(found, now=datetime.now(UTC).timestamp()))
        return Response(status_code=204)

    return router


def _wanted(value: object, live: Gateway | None, now: datetime) -> RevocationIn:
    try:
        wanted = RevocationIn.model_validate(value)
    except ValidationError as error:
        raise _no_revocation(mistakes_of(error.errors(include_url=False, include_input=False))) from None
    mistakes = [*_provider_mistakes(wanted.provider, live), *_time_mistakes(wanted, now)]
    if mistakes:
        raise _no_revocation(mistakes)
    return wanted


def _no_revocation(mistakes: Any) -> ApiError:
    return invalid(list(mistakes), detail="This is no revocation that could be made.", code="invalid-request")


def _provider_mistakes(name: str, live: Gateway | None) -> list[MistakeOut]:
    """A revocation that nobody obeys would be believed to be in force."""
    providers = {one.name: one for one in live.identity_providers} if live is not None else {}
    provider = providers.get(name)
    if provider is None:
        message, hint = "the live document has no such provider", "write a name that stands in authentication"
    elif not isinstance(provider, JwtProvider):
        message, hint = (
            "this provider has no tokens",
            "API keys are revoked by `gateway keys revoke`, or by taking them out of the document",
        )
    elif provider.revocation is None:
        message, hint = "tokens of this provider can't be revoked", f"add `revocation: {{}}` to its {provider.kind}"
    else:
        return []
    return [MistakeOut(pointer="/provider", code="no-effect", message=message, hint=hint)]


def _time_mistakes(wanted: RevocationIn, now: datetime) -> list[MistakeOut]:
    mistakes = []
    if wanted.ends_at is not None and not now < wanted.ends_at <= now + _LONGEST_TIME:
        mistakes.append(MistakeOut(pointer="/ends_at", code="out-of-range", message="this is past, or too far away"))
    if wanted.issued_before is not None and wanted.kind == "jti":
        message = "one token is refused whenever it was issued"
        mistakes.append(MistakeOut(pointer="/issued_before", code="not-for-jti", message=message))
    return mistakes


def _made(wanted: RevocationIn, *, by: str, now: datetime) -> Revocation:
    issued_before = None if wanted.kind == "jti" else (wanted.issued_before or now).timestamp()
    return Revocation(
        id=secrets.token_hex(8),
        provider=wanted.provider,
        kind=wanted.kind,
        value=wanted.value,
        issued_before=issued_before,
        ends_at=(wanted.ends_at or now + _USUAL_TIME).timestamp(),
        created_at=now.timestamp(),
        created_by=by,
        reason=wanted.reason,
    )


def _shown(revocation: Revocation) -> RevocationOut:
    times = ("issued_before", "ends_at", "created_at", "withdrawn_at")
    told: dict[str, Any] = {name: getattr(revocation, name) for name in RevocationOut.model_fields}
    return RevocationOut(**told | {name: _moment(told[name]) for name in times})


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _next(page: list[Listed]) -> int:
    return page[-1].number


def _there(store: RevocationStore | None) -> RevocationStore:
    if store is None:
        raise ApiError(503, "no-redis", "Revocations are kept in Redis: set GATEWAY_REDIS_URL of the control plane.")
    return store


async def _asked(question: Awaitable[_T]) -> _T:
    try:
        return await question
    except TooManyRevocationsError as error:
        raise ApiError(409, "too-many-revocations", f"Nothing was revoked: {error}.") from error
    except RevocationStoreError as error:
        raise ApiError(503, "redis-unavailable", "Redis, where the revocations are, does not answer.") from error
