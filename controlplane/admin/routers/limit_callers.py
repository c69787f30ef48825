"""Single callers of a limit: what they have left, and full buckets for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from controlplane.admin.audit_trail import AuditTrail
from controlplane.admin.bodies import read_json
from controlplane.admin.errors import ApiError, MistakeOut, declared, invalid
from controlplane.admin.limit_bodies import Value, read_caller, validated
from controlplane.admin.parameters import Limit as TopLimit
from controlplane.admin.routers.limits import LimitName, Limits, asked, body_of
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs, NeedsToWrite
from controlplane.admin.security.identity import Role
from controlplane.limit_overrides import LiveLimit, amount_of
from controlplane.limit_state import LimitStateError, LimitStates
from controlplane.model import Gateway
from controlplane.store.limit_overrides import LimitOverride, LimitOverrideStore
from controlplane.translate.policies import shared_limit
from servicekit.buckets.top import WINDOW_SECONDS
from servicekit.contracts import Amount, Limit
from servicekit.contracts.limit_overrides import MOST_VALUES, override_id
from servicekit.contracts.limit_policy import Grant
from servicekit.limit_cases import compile_case

_T = TypeVar("_T")
Ruling = Literal["limit", "tier", "case", "amount", "unlimited", "denied"]


class CallerIn(BaseModel):
    """One caller of a limit."""

    model_config = ConfigDict(extra="forbid", strict=True)

    caller: Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)]
    """Who: a value for each member of the limit's `by`, in its order."""


class CallerOut(BaseModel):
    """What one caller of a limit has."""

    limit: str
    caller: list[str]
    """As it is counted: of an address of IPv6, its network."""
    ruling: Ruling
    """What counts for the caller: the limit's own amount, that of the tier or of a case, or what an override says; or
    that nothing is counted."""
    requests: int | None
    period_seconds: float | None
    burst: int | None
    remaining: int | None
    """Requests that would pass now; null for any number."""
    reset_seconds: float | None
    """Until all is there again; with nothing left, until a request would pass. Null where nothing is counted."""


class BusyOut(BaseModel):
    """One caller."""

    caller: list[str]
    asked: int
    """Requests."""
    exceeded: int
    """How many of these were refused."""


class TopOut(BaseModel):
    """Those who ask most under one limit, or are refused most. Who comes seldom may be missing, or be counted short."""

    limit: str
    since: datetime
    """Since when it is counted."""
    items: list[BusyOut]


def limit_callers_router(
    states: LimitStates | None,
    store: LimitOverrideStore | None,
    live: Callable[[], Gateway | None],
    trail: AuditTrail,
) -> APIRouter:
    """Routes about single callers. ``states`` is ``None`` without a Redis, ``live`` what the live document means."""
    router = api_router("limits")
    limits = Limits(live)
    may_read = Needs(Role.OPERATOR)
    may_reset = NeedsToWrite(Role.OPERATOR, "limits.reset", trail)

    @router.get("/limits/{name}/caller", responses=declared(404, 422))
    async def get_caller(
        name: LimitName,
        value: Annotated[
            list[Value],
            Query(min_length=1, max_length=MOST_VALUES, description="Who: one for each of the limit's `by`, in order."),
        ],
        tier: str | None = Query(None, max_length=100, description="The caller's, where the limit has tiers."),
        _access: Access = Depends(may_read),
    ) -> CallerOut:
        """What a caller has left right now. Nothing is taken."""
        found = limits.find(name)
        limit, caller = _counted(found, value)
        override = await asked(store.find(override_id(name, caller))) if store is not None else None
        ruling, amount = _ruling(limit, caller, override, tier)
        shown = CallerOut(
            limit=name,
            caller=list(caller),
            ruling=ruling,
            requests=None,
            period_seconds=None,
            burst=None,
            remaining=0 if ruling == "denied" else None,
            reset_seconds=None,
        )
        if amount is None:
            return shown
        left = await _told(_there(states).left(limit.of_amount(amount), caller))
        return shown.model_copy(update=dict(amount) | {"remaining": left.remaining, "reset_seconds": left.reset})

    @router.get("/limits/{name}/top", responses=declared(404, 422))
    async def top_callers(
        name: LimitName,
        by: Annotated[
            Literal["asked", "exceeded"], Query(description="Who asked most, or was refused most.")
        ] = "exceeded",
        limit: TopLimit = 10,
        _access: Access = Depends(may_read),
    ) -> TopOut:
        """Who asks most under a limit, or is refused most. Counted for five minutes, and for the five before."""
        limits.find(name)
        now = datetime.now(UTC)
        found = await _told(_there(states).top(name, by=by, most=limit, now=now.timestamp()))
        since = datetime.fromtimestamp((now.timestamp() // WINDOW_SECONDS - 1) * WINDOW_SECONDS, UTC)
        items = [BusyOut(caller=list(one.caller), asked=one.asked, exceeded=one.exceeded) for one in found]
        return TopOut(limit=name, since=since, items=items)

    @router.post(
        "/limits/{name}/reset",
        status_code=204,
        openapi_extra=body_of("CallerIn"),
        responses=declared(404, 413, 415, 422),
    )
    async def reset_caller(request: Request, name: LimitName, access: Access = Depends(may_reset)) -> Response:
        """Give a caller a full bucket: within a second everywhere, also where the caller was refused."""
        async with trail.write(access.deed) as entry:
            wanted = validated(CallerIn, await read_json(request))
            limit, caller = _counted(limits.find(name), wanted.caller)
            redis = _there(states)
            await entry.intend(caller=list(caller))
            await _told(redis.reset(limit, caller))
        return Response(status_code=204)

    return router


def _counted(live: LiveLimit, values: list[str]) -> tuple[Limit, tuple[str, ...]]:
    """The limit as the service has it, and the caller as it is counted."""
    limit = shared_limit(live.limit)
    caller = read_caller(values, live)
    if limit is None:  # read_caller() refuses callers of those
        raise invalid(
            [MistakeOut(code="no-callers", message="not in Redis")], detail="No callers.", code="invalid-request"
        )
    return limit, caller


def _ruling(
    limit: Limit, caller: tuple[str, ...], override: LimitOverride | None, tier: str | None
) -> tuple[Ruling, Amount | None]:
    """What counts for a caller, and how much where something is counted."""
    if override is not None and (override.expires_at is None or override.expires_at > datetime.now(UTC)):
        return override.ruling, amount_of(override)
    for case in limit.cases:
        if compile_case(case, limit.parts)(caller):
            return _granted("case", case.grant)
    if tier is not None and tier in limit.tiers:
        return _granted("tier", limit.tiers[tier])
    return "limit", limit.amount


def _granted(by: Literal["case", "tier"], grant: Grant) -> tuple[Ruling, Amount | None]:
    return (by, grant) if isinstance(grant, Amount) else (grant, None)


def _there(states: LimitStates | None) -> LimitStates:
    if states is None:
        raise ApiError(503, "no-redis", "Buckets are in Redis: set GATEWAY_REDIS_URL for the control plane too.")
    return states


async def _told(question: Awaitable[_T]) -> _T:
    try:
        return await question
    except LimitStateError as error:
        raise ApiError(503, "redis-unavailable", "Redis does not answer.") from error
