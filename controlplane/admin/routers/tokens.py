"""Tokens of the API: made, listed, revoked. A secret is shown once and stored nowhere."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import JSON, read_json
from controlplane.admin.changes import no_store
from controlplane.admin.errors import ApiError, MistakeOut, declared, invalid, mistakes_of
from controlplane.admin.parameters import Limit, PrintableText
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.store import StoreError
from controlplane.store.tokens import Token, TokenStore

_T = TypeVar("_T")

_MOST_SCOPES = 20
_LONGEST_LIFE = timedelta(days=3660)


class TokenIn(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[PrintableText, Field(min_length=1, max_length=100)]
    """Whom or what it is for. The history and the audit log name its bearer so."""
    role: Annotated[Role, Field(strict=False)]
    scopes: list[Annotated[str, Field(max_length=200, pattern=r"^/[!-~]*$")]] = Field(
        default=[], max_length=_MOST_SCOPES
    )
    """Beginnings of paths below `/api/v1`, as in `/routes/team-a-`: with any, only such paths can be used."""
    expires_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    """When it ends; null for never."""


class TokenOut(BaseModel):
    """A token, without what it proves with."""

    id: str
    name: str
    role: Role
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewTokenOut(TokenOut):
    """A token that was just made."""

    token: str
    """What its bearer sends. It is shown now and never again."""


class TokenPageOut(BaseModel):
    """Some tokens, newest first."""

    items: list[TokenOut]
    after: str | None
    """The `after` of the next page; null on the last."""


def tokens_router(store: TokenStore | None, trail: AuditTrail) -> APIRouter:
    """Routes about tokens."""
    router = api_router("tokens")
    may_read = Needs(Role.ADMIN)
    may_create, may_revoke = (NeedsToWrite(Role.ADMIN, f"tokens.{verb}", trail) for verb in ("create", "revoke"))
    body = {"schema": {"$ref": "#/components/schemas/TokenIn"}}

    @router.get("/tokens", responses=declared(422))
    async def list_tokens(
        limit: Limit = 50,
        after: str | None = Query(None, max_length=100, description="`after` of the page before."),
        _access: Access = Depends(may_read),
    ) -> TokenPageOut:
        """Every token, revoked ones too."""
        found = await _asked(_there(store).page(after, limit + 1))
        page = found[:limit]
        return TokenPageOut(
            items=[TokenOut(**_shown(token)) for token in page],
            after=page[-1].id if len(found) > limit else None,
        )

    @router.post(
        "/tokens",
        status_code=201,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: body}}},
        responses=declared(413, 415, 422),
    )
    async def create_token(
        request: Request,
        response: Response,
        access: Access = Depends(may_create),
    ) -> NewTokenOut:
        """Make a token. What it proves with is in this answer only."""
        async with trail.write(access.deed) as entry:
            wanted = _wanted(await read_json(request))
            tokens = _there(store)
            await entry.intend(name=wanted.name, role=wanted.role.value, scopes=wanted.scopes)
            token, secret = await _asked(
                tokens.create(
                    name=wanted.name, role=wanted.role.value, scopes=tuple(wanted.scopes), expires_at=wanted.expires_at
                )
            )
            entry.result["id"] = token.id
        response.headers["location"] = f"/api/v1/tokens/{token.id}"
        return NewTokenOut(**_shown(token), token=secret)

    @router.delete("/tokens/{id}", status_code=204, responses=declared(404, 422))
    async def revoke_token(
        token_id: str = Path(alias="id", max_length=100),
        access: Access = Depends(may_revoke),
    ) -> Response:
        """Revoke a token: within a second it lets nobody in, on every replica."""
        async with trail.write(access.deed) as entry:
            tokens = _there(store)
            if await _asked(tokens.find(token_id)) is None:
                raise ApiError(404, "no-such-token", "There is no token of this id.")
            await entry.intend(id=token_id)
            await _asked(tokens.revoke(token_id))
        return Response(status_code=204)

    return router


def _wanted(value: object) -> TokenIn:
    try:
        wanted = TokenIn.model_validate(value)
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False, include_input=False))
        raise invalid(mistakes, detail="This is no token that could be made.", code="invalid-request") from None
    now = datetime.now(UTC)
    if wanted.expires_at is not None and not now < wanted.expires_at <= now + _LONGEST_LIFE:
        mistake = MistakeOut(pointer="/expires_at", code="out-of-range", message="this is past, or too far away")
        raise invalid([mistake], detail="This is no token that could be made.", code="invalid-request")
    return wanted


def _there(store: TokenStore | None) -> TokenStore:
    if store is None:
        raise no_store()
    return store


def _shown(token: Token) -> dict[str, Any]:
    return {name: getattr(token, name) for name in TokenOut.model_fields}


async def _asked(question: Awaitable[_T]) -> _T:
    try:
        return await question
    except StoreError as error:
        raise ApiError(503, "store-unavailable", "The store of tokens does not answer.") from error
