"""Rate limits, and other amounts for single callers of them, as they come and go over the admin API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from controlplane.admin.errors import ApiError, MistakeOut, invalid, mistakes_of
from controlplane.admin.parameters import PrintableText
from controlplane.limit_overrides import LiveLimit
from controlplane.model import Cost, Grant
from controlplane.store.limit_overrides import LimitOverride
from servicekit.contracts import Amount
from servicekit.contracts.limit_callers import EVERYONE
from servicekit.contracts.limit_overrides import MOST_VALUES, fills_in, override_id
from servicekit.contracts.limit_policy import LONGEST_FILL_SECONDS

LONGEST_LIFE: Final = timedelta(days=3660)
_MOST_TOKENS: Final = 1_000_000_000
_LONGEST_PERIOD: Final = 31_536_000
_AMOUNT: Final = ("requests", "period_seconds", "burst")

_M = TypeVar("_M", bound=BaseModel)
Value = Annotated[PrintableText, Field(max_length=1024)]
_Tokens = Annotated[int, Field(ge=1, le=_MOST_TOKENS)]


class TierOut(BaseModel):
    """How much callers of one tier may do."""

    ruling: Literal["amount", "unlimited", "denied"]
    """So much, all, or nothing."""
    requests: int | None
    period_seconds: float | None
    burst: int | None
    priority: int | None
    """How urgent their requests are where they wait; null is what the route says."""


class ConditionOut(BaseModel):
    """What one part of a caller has to be."""

    part: str
    kind: Literal["exact", "prefix", "regex"]
    value: str


class CaseOut(TierOut):
    """How much callers may do of whom all conditions hold."""

    when: list[ConditionOut]


class CostOut(BaseModel):
    """How many requests a request counts as."""

    requests: int | None
    """Null where a header says it."""
    request_header: str | None = None
    response_header: str | None = None
    most: int | None = None


class LimitOut(BaseModel):
    """One limit of the live document."""

    name: str
    by: list[str]
    """What callers are told apart by, in order. An override names its caller by as many values."""
    enforce: Literal["shared", "local", "quota"]
    algorithm: Literal["token_bucket", "fixed_window", "sliding_window", "concurrency"]
    requests: int
    period_seconds: float
    burst: int
    on_store_failure: Literal["local", "allow", "deny"]
    tiers: dict[str, TierOut]
    cases: list[CaseOut]
    """The first that fits counts, whatever the tier."""
    cost: CostOut
    when_exceeded: Literal["refuse", "queue", "degrade", "shadow"]
    max_wait_seconds: float | None
    """How long requests wait; null where they don't."""
    max_waiting: int | None
    headers: Literal["both", "separate", "structured", "none"]
    """Which tell callers what they have left."""
    routes: list[str]
    """Names of those that have it."""


class OverrideChangeIn(BaseModel):
    """What one caller may do under a limit, in place of what the limit says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ruling: Literal["amount", "unlimited", "denied"] = "amount"
    """Another amount, no limit at all, or nothing."""
    requests: _Tokens | None = None
    """Requests on average in `period_seconds`; needed for another amount."""
    period_seconds: Annotated[float, Field(ge=1, le=_LONGEST_PERIOD)] | None = None
    """Without it, the limit's own. Windows have no other."""
    burst: _Tokens | None = None
    """Requests at once after a quiet time; without it, as many as `requests`. Only of token buckets."""
    note: Annotated[PrintableText, Field(max_length=500)] = ""
    """Why, for people."""
    expires_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    """When the limit itself counts again; null for never."""


class OverrideIn(OverrideChangeIn):
    """An override to be made."""

    caller: Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)]
    """Who: a value for each member of the limit's `by`, in its order. A user is `provider:sub`, an API key
    `provider:id`, an address is written as such."""


class OverrideOut(BaseModel):
    """What one caller may do under one limit."""

    id: str
    limit: str
    caller: list[str]
    ruling: Literal["amount", "unlimited", "denied"]
    requests: int | None
    period_seconds: float | None
    burst: int | None
    note: str
    created_at: datetime
    changed_at: datetime | None
    expires_at: datetime | None


class OverridePageOut(BaseModel):
    """Some overrides, the last changed first."""

    items: list[OverrideOut]
    after: str | None
    """The `after` of the next page; null on the last."""


def limit_out(live: LiveLimit) -> LimitOut:
    """A limit as it is shown."""
    limit = live.limit
    return LimitOut(
        name=limit.name,
        by=list(limit.by) or [EVERYONE],
        enforce=limit.enforce,
        algorithm=limit.algorithm,
        requests=limit.requests,
        period_seconds=limit.period,
        burst=limit.burst,
        on_store_failure=limit.on_store_failure,
        tiers={tier.name: TierOut(**_grant_out(tier)) for tier in limit.tiers},
        cases=[
            CaseOut(
                when=[ConditionOut(part=one.part, kind=one.kind, value=one.value) for one in case.when],
                **_grant_out(case),
            )
            for case in limit.cases
        ],
        cost=_cost_out(limit.cost),
        when_exceeded=limit.when_exceeded,
        max_wait_seconds=limit.max_wait if limit.waits else None,
        max_waiting=limit.max_waiting if limit.waits else None,
        headers=limit.headers,
        routes=list(live.routes),
    )


def _grant_out(grant: Grant) -> dict[str, Any]:
    counts = grant.ruling == "amount"
    return {
        "ruling": grant.ruling,
        "requests": grant.requests if counts else None,
        "period_seconds": grant.period if counts else None,
        "burst": grant.burst if counts else None,
        "priority": grant.priority,
    }


def _cost_out(cost: int | Cost) -> CostOut:
    if isinstance(cost, int):
        return CostOut(requests=cost)
    if cost.place == "request":
        return CostOut(requests=None, request_header=cost.header, most=cost.most)
    return CostOut(requests=None, response_header=cost.header, most=cost.most)


def override_out(override: LimitOverride) -> OverrideOut:
    """An override as it is shown."""
    members = {name: getattr(override, name) for name in OverrideOut.model_fields if name != "period_seconds"}
    return OverrideOut(**members | {"caller": list(override.caller), "period_seconds": override.period})


def read_new(value: object, live: LiveLimit, now: datetime) -> LimitOverride:
    """An override that is to be made.

    Raises:
        ApiError: 422, it can't be, with every mistake.
    """
    wanted = validated(OverrideIn, value)
    mistakes = [*_caller_mistakes(wanted.caller, live), *_mistakes(wanted, live, now)]
    if mistakes:
        raise _refused(mistakes)
    caller = live.caller(wanted.caller)
    return LimitOverride(
        id=override_id(live.limit.name, caller),
        limit=live.limit.name,
        caller=caller,
        created_at=now,
        changed_at=None,
        removed_at=None,
        change=0,
        **_members(wanted, live),
    )


def read_change(patched: object, live: LiveLimit | None, now: datetime) -> dict[str, Any]:
    """The members of :class:`LimitOverride` that an override is to have. ``live`` is ``None`` where its limit is gone.

    Raises:
        ApiError: 422, it can't have them, with every mistake.
    """
    wanted = validated(OverrideChangeIn, patched)
    if live is None:
        raise _refused([_mistake(None, "no-such-limit", "the live document has no such limit", "remove the override")])
    if mistakes := list(_mistakes(wanted, live, now)):
        raise _refused(mistakes)
    return _members(wanted, live)


def written(override: LimitOverride) -> dict[str, Any]:
    """What can be changed of an override, as it would be sent."""
    return override_out(override).model_dump(mode="json", include=set(OverrideChangeIn.model_fields))


def settled(patch: object) -> object:
    """``patch`` with what it implies: who is given no amount any more has none."""
    if isinstance(patch, dict) and patch.get("ruling") in ("unlimited", "denied"):
        return dict.fromkeys(_AMOUNT) | patch
    return patch


def _members(wanted: OverrideChangeIn, live: LiveLimit) -> dict[str, Any]:
    is_amount = wanted.ruling == "amount"
    return {
        "ruling": wanted.ruling,
        "requests": wanted.requests,
        "period": (wanted.period_seconds or live.limit.period) if is_amount else None,
        "burst": (wanted.burst or wanted.requests) if is_amount else None,
        "note": wanted.note,
        "expires_at": wanted.expires_at,
    }


def read_caller(values: list[str], live: LiveLimit) -> tuple[str, ...]:
    """A caller as the service counts it.

    Raises:
        ApiError: 422, the limit has no such callers.
    """
    if mistakes := list(_caller_mistakes(values, live)):
        raise _refused(mistakes)
    return live.caller(values)


def validated(model: type[_M], value: object) -> _M:
    """What was sent, as ``model`` has it.

    Raises:
        ApiError: 422, it is something else, with every mistake.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refused(mistakes_of(error.errors(include_url=False, include_input=False))) from None


def _refused(mistakes: list[MistakeOut]) -> ApiError:
    return invalid(mistakes, detail="This is not how it can be.", code="invalid-request")


def _mistake(pointer: str | None, code: str, message: str, hint: str) -> MistakeOut:
    return MistakeOut(pointer=pointer, code=code, message=message, hint=hint)


def _caller_mistakes(caller: list[str], live: LiveLimit) -> Iterator[MistakeOut]:
    count = len(live.parts)
    if count == 0:
        message = "callers of this limit are counted in Envoy or all together, and can't be told apart"
        yield _mistake("/caller", "no-callers", message, "overrides are for limits in Redis, by user, api_key or ip")
    elif len(caller) != count:
        message = f"a caller of this limit has {count} value{'' if count == 1 else 's'}, not {len(caller)}"
        yield _mistake("/caller", "wrong-caller", message, f"write one for each of {', '.join(live.parts)}")


def _mistakes(wanted: OverrideChangeIn, live: LiveLimit, now: datetime) -> Iterator[MistakeOut]:
    yield from _amount_mistakes(wanted, live)
    if wanted.expires_at is None:
        return
    if wanted.expires_at <= now:
        yield _mistake("/expires_at", "past", "this moment is past", "write a later one, or null for never")
    elif wanted.expires_at - now > LONGEST_LIFE:
        yield _mistake("/expires_at", "too-late", "an override ends within ten years", "write null for never")


def _amount_mistakes(wanted: OverrideChangeIn, live: LiveLimit) -> Iterator[MistakeOut]:
    if wanted.ruling != "amount":
        for name in _AMOUNT:
            if getattr(wanted, name) is not None:
                message = f"a caller who is {wanted.ruling} has no amount"
                yield _mistake(f"/{name}", "no-amount", message, "remove it, or remove ruling")
        return
    if wanted.requests is None:
        yield _mistake("/requests", "missing", "how many requests?", "write requests, or ruling: unlimited or denied")
        return
    limit = live.limit
    period = wanted.period_seconds or limit.period
    if limit.algorithm == "token_bucket":
        amount = Amount(requests=wanted.requests, period_seconds=period, burst=wanted.burst or wanted.requests)
        if fills_in(amount) > LONGEST_FILL_SECONDS:
            yield _mistake("/burst", "never-full", "the bucket would take over 140 years to fill", "lower burst")
        return
    if limit.algorithm != "concurrency" and period != limit.period:
        message = "a caller whose windows have another length would begin anew"
        yield _mistake("/period_seconds", "other-windows", message, f"remove it: windows are {limit.period:g} s long")
    if wanted.burst not in (None, wanted.requests):
        yield _mistake(
            "/burst", "no-burst", f"a {limit.algorithm} has no burst: all its requests may come at once", "remove it"
        )
