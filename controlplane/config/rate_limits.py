"""``rate_limits``: how much a caller may do."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.limit_parts import EVERYONE, LimitPart, LimitParts
from controlplane.config.own_headers import OwnHeader
from controlplane.config.regexes import Regex
from controlplane.config.texts import Name, distinct

_MAX_TOKENS = 1_000_000_000

_PartText = Annotated[str, Field(min_length=1, max_length=1024)]


def _exact(value: Any) -> Any:
    return {"exact": value} if isinstance(value, str) else value


def _cost(value: Any) -> Any:
    return {"requests": value} if type(value) is int else value


def _check_true(value: bool) -> bool:
    if not value:
        raise mistake("not-true", "false says nothing here", "write true, or requests")
    return value


OnlyTrue = Annotated[bool, AfterValidator(_check_true)]


class Tier(OneOf):
    """How much callers of one tier may do."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("requests", "unlimited", "denied")

    requests: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """Requests that each caller may make, on average, in the time `per`."""
    per: Annotated[float, Duration(least=1, most=31_536_000)] | None = None
    """The time that `requests` are for; without it, the limit's own."""
    burst: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """Requests at once after a quiet time; without it, as many as `requests`."""
    priority: int | None = Field(default=None, ge=0, le=9)
    """How urgent their requests are where they wait, whatever the route says: 0 to 9, 9 first."""
    unlimited: OnlyTrue | None = None
    """As many as they like: nothing is counted."""
    denied: OnlyTrue | None = None
    """None: 429 for each."""

    @model_validator(mode="after")
    def _amount_of_requests(self) -> Self:
        for key in ("per", "burst", "priority"):
            if self.requests is None and getattr(self, key) is not None:
                raise mistake("no-amount", f"{key} is about requests", "write requests, or remove it")
        return self


class PartMatch(OneOf):
    """What one part of a caller has to be. Text alone is `exact`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("exact", "prefix", "regex")

    exact: _PartText | None = None
    """The whole value."""
    prefix: _PartText | None = None
    """What it begins with."""
    regex: Regex | None = None
    """A regular expression (RE2) for the whole value."""


WrittenPartMatch = Annotated[PartMatch, BeforeValidator(_exact, json_schema_input_type=_PartText | PartMatch)]


class Case(Tier):
    """How much some callers may do."""

    when: dict[LimitPart, WrittenPartMatch] = Field(min_length=1, max_length=8)
    """What all has to hold, by part of the limit's `by`: `{"header:x-plan": gold}`."""


def _check_cases(cases: list[Case]) -> list[Case]:
    return distinct(cases, key=lambda case: frozenset(case.when.items()), name=lambda _: "this case")


class Cost(OneOf):
    """How many requests one request counts as. A number alone is `requests`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("requests", "request_header", "response_header")

    requests: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """This many."""
    request_header: OwnHeader | None = None
    """This header says it. Without it, or with anything but a whole number, a request counts as one."""
    response_header: OwnHeader | None = None
    """This header of the response says it: one is taken when the request comes and the rest, as far as it is there,
    when the response is over."""
    most: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """However much the header says; needed beside one."""

    @model_validator(mode="after")
    def _headers_have_a_bound(self) -> Self:
        if self.requests is None and self.most is None:
            raise mistake("missing-key", "whoever sets the header could write any number", "add most")
        if self.requests is not None and self.most is not None:
            raise mistake("most", "a number is its own bound", "remove most")
        return self


WrittenCost = Annotated[
    Cost, BeforeValidator(_cost, json_schema_input_type=Annotated[int, Field(ge=1, le=_MAX_TOKENS)] | Cost)
]


class RateLimit(Section):
    """A token bucket, or windows, for each caller."""

    by: LimitParts
    """What a caller is: one word, or a list of what makes a caller together ([which there
    are](rate-limits.md#callers)). `user`, `api_key`, `tier` and `claim:NAME` need a route that authenticates;
    `everyone` is all callers together."""
    enforce: Literal["shared", "local", "quota"] = "shared"
    """Where requests are counted: in Redis, for all Envoys together; in each Envoy by itself, which asks nobody ([what
    that means](rate-limits.md#in-envoy-itself)); or in each Envoy, of which each is leased a share
    ([quotas](rate-limits.md#quotas)). `local` goes with `ip` and `everyone`, `quota` with `everyone` and `route`."""
    algorithm: Literal["token_bucket", "fixed_window", "sliding_window", "concurrency"] = "token_bucket"
    """How requests are counted: tokens that flow in evenly; windows that begin with the clock's minutes, hours or days
    (UTC); such windows of which the last two are weighed together; or those in flight at a time ([which to
    take](rate-limits.md#algorithms))."""
    requests: int = Field(ge=1, le=_MAX_TOKENS)
    """Requests that each caller may make, on average, in the time `per`; with `concurrency`, at a time, 10,000 at
    most."""
    per: Annotated[float, Duration(least=1, most=31_536_000)]
    """The time that `requests` are for; with `concurrency`, how long one counts that is not heard of again."""
    burst: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    """Requests at once after a quiet time; without it, as many as `requests`. Only of token buckets."""
    tiers: dict[Name, Tier] = Field(default={}, max_length=50)
    """Other amounts for callers of these tiers (`tier_claim` of a provider). Who has none, or another, has the limit's
    own."""
    cases: Annotated[list[Case], AfterValidator(_check_cases)] = Field(default=[], max_length=50)
    """Other amounts for some callers, whatever their tier; the first that fits."""
    cost: WrittenCost = Cost(requests=1)
    """How many requests one request counts as."""
    when_exceeded: Literal["refuse", "queue", "degrade", "shadow"] = "refuse"
    """What becomes of a request that is over the limit: a 429; it waits up to `max_wait` for its turn; it goes on with
    the header `x-gateway-degraded`; or it only shows in metrics ([more](../guide/rate-limits.md#over-the-limit))."""
    max_wait: Annotated[float, Duration(least=0.01, most=10)] | None = None
    """How long a request waits, with `queue`: 10 s at most; without it 1 s."""
    max_waiting: int | None = Field(default=None, ge=1, le=1000)
    """How many requests of one caller wait in each rate-limit service, with `queue`; without it 100."""
    headers: Literal["both", "separate", "structured", "none"] = "both"
    """Which headers tell callers what they have left: `separate` are `ratelimit-limit`, `-remaining` and `-reset`;
    `structured` are `ratelimit` and `ratelimit-policy` of the IETF's draft."""
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    """What decides while Redis does not answer: a bucket in each rate-limit process, yes, or no."""

    @model_validator(mode="after")
    def _counted_where_it_can_be(self) -> Self:
        self._waits_where_it_may()
        if self.enforce == "shared":
            return self
        if self.enforce == "local" and self.by not in (["ip"], [EVERYONE]):
            raise mistake("enforce", "Envoy counts before it is known who calls", "limit by ip or everyone")
        if self.enforce == "quota" and self.by not in (["route"], [EVERYONE]):
            raise mistake("enforce", "shares are of what many callers may do together", "limit by route or everyone")
        if self.algorithm != "token_bucket":
            raise mistake("enforce", "Envoy counts by token buckets only", "remove algorithm")
        for key in ("tiers", "cases", "cost", "when_exceeded", "headers", "on_store_failure"):
            if key in self.model_fields_set:
                raise mistake("enforce", f"{key} is about limits in Redis", f"remove {key}")
        return self

    def _waits_where_it_may(self) -> None:
        if self.when_exceeded == "queue":
            if self.algorithm == "concurrency":
                raise mistake("queue", "nobody knows when a request in flight will be over", "take another algorithm")
            return
        for key in ("max_wait", "max_waiting"):
            if getattr(self, key) is not None:
                raise mistake("queue", f"{key} is about requests that wait", "add when_exceeded: queue")
