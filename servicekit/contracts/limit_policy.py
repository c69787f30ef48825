"""``LimitPolicy``: how much is allowed, as the rate-limit service enforces it."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self, TypeAlias

from pydantic import Field

from servicekit.contracts.base import MOST_OTHERS, Contract
from servicekit.contracts.limit_callers import EVERYONE, parts_of

DOMAIN = "gateway"
"""The rate-limit domain of every request that the gateway's own Envoy asks about."""

LONGEST_FILL_SECONDS = 2**52 / 1_000_000
"""A bucket takes at most this long (142 years) to fill: beyond it the arithmetic would not be exact."""

LIMIT_ENTRY = "limit"
"""Key of the descriptor entry that names the :class:`Limit`. If callers are told apart by one thing that is always
there, the entry after it has the limit's ``by`` as its key and the caller as its value: ``[("limit", "per-user"),
("user", "…")]``."""

BY_ENTRY = "by"
"""Key of the entry after it of all other limits, with the limit's ``by``. One entry for each part follows, with the
part as its key; there is none for a header or a parameter that the request has not."""

ALWAYS_THERE = ("user", "api_key", "ip")
"""Without these there is no descriptor."""


_BY = "^[!-~]+( [!-~]+)*$"

Algorithm = Literal["token_bucket", "fixed_window", "sliding_window", "concurrency"]


TIER_ENTRY = "tier"
"""Key of a further entry, which a limit with :attr:`Limit.tiers` has: the caller's tier."""

COST_ENTRY = "cost"
"""Key of a further entry: how many tokens the request says that it is for."""

CHARGE_ENTRY = "charge"
"""Key of a further entry of a descriptor that comes when the response is over: its hits are what the request cost in
all. One token was taken when it came."""

NO_TIER = "-"
"""The tier of a caller who has none; no tier of a policy is called that."""


LEASE_ENTRY = "lease"
"""Key of a further entry of limits by ``concurrency``: the request's own name, by which it gives its lease back."""

RELEASE_ENTRY = "release"
"""Key of a further entry of a descriptor that comes when such a request is over."""


PRIORITY_ENTRY = "priority"
"""Key of a further entry of limits under which requests wait: how urgent they are, from 0 to 9."""

USUAL_PRIORITY = 5

QUOTA_ENTRY = "quota"
"""Key of the one entry that the id of a quota's bucket has; its value is :attr:`Quota.text`."""

WhenExceeded: TypeAlias = Literal["refuse", "shadow", "degrade", "queue"]


class Quota(NamedTuple):
    """What Envoys count by themselves, each a share of it."""

    limit: str
    by: str
    """``everyone`` or ``route``."""
    route: str = ""
    """Where each has a bucket of its own."""

    @property
    def text(self) -> str:
        """In one line; none of the parts has a blank in it."""
        return " ".join(filter(None, self))

    @classmethod
    def of(cls, text: str) -> Self | None:
        """What :attr:`text` wrote; ``None`` for anything else."""
        limit, *rest = text.split(" ")
        if not limit or (rest != [EVERYONE] and (len(rest) != 2 or rest[0] != "route" or not rest[1])):
            return None
        return cls(limit, *rest)


class Amount(Contract):
    """How much callers of one tier may do."""

    requests: int = Field(gt=0)
    period_seconds: float = Field(gt=0)
    burst: int = Field(gt=0)
    priority: int | None = Field(default=None, ge=0, le=9, exclude_if=lambda priority: priority is None)
    """How urgent their requests are, whatever the route says."""


Grant: TypeAlias = Amount | Literal["unlimited", "denied"]
"""How much some callers may do: so much, all, nothing."""


class Condition(Contract):
    """What one part of a caller has to be."""

    kind: Literal["exact", "prefix", "regex"]
    value: str
    """Of ``regex``, an expression of RE2 for the whole part."""


class Case(Contract):
    """How much those callers may do of whom all conditions hold."""

    when: dict[str, Condition] = Field(min_length=1)
    """By part of the limit's ``by``."""
    grant: Grant


class Limit(Contract):
    """One token bucket, or one row of windows, per caller."""

    name: str
    by: str = Field(pattern=_BY)
    """What a caller is: :func:`~servicekit.contracts.limit_callers.counted_by` of its parts."""
    algorithm: Algorithm = Field(default="token_bucket", exclude_if=lambda algorithm: algorithm == "token_bucket")
    requests: int = Field(gt=0)
    """Tokens that flow in, evenly, in one :attr:`period_seconds`; or places in a window of that length; or requests in
    flight, each of which counts no longer than that."""
    period_seconds: float = Field(gt=0)
    burst: int = Field(gt=0)
    """Tokens that a bucket holds at most. Windows have no use for it."""
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    """What decides while Redis does not: a bucket in this process, yes, or no."""
    tiers: dict[str, Grant] = Field(default_factory=dict, exclude_if=lambda tiers: not tiers)
    """Other amounts for callers of these tiers. A caller whose tier changes keeps what was taken."""
    cases: tuple[Case, ...] = Field(default=(), exclude_if=lambda cases: not cases)
    """Other amounts for some callers, whatever their tier; the first that fits."""
    most_cost: int | None = Field(default=None, gt=0, exclude_if=lambda most: most is None)
    """The most tokens that a request or its response may say it costs; ``None`` where they say nothing."""
    is_quota: bool = Field(default=False, exclude_if=lambda is_quota: not is_quota)
    """Whether Envoys count by themselves, each a share of it."""
    when_exceeded: WhenExceeded = Field(default="refuse", exclude_if=lambda what: what == "refuse")
    """What becomes of a request that does not fit: refused, only counted, marked for the upstream, or it waits."""
    max_wait_seconds: float = Field(default=0.0, ge=0, exclude_if=lambda seconds: not seconds)
    """How long it waits."""
    max_waiting: int = Field(default=0, ge=0, exclude_if=lambda most: not most)
    """How many of one caller wait in one process."""
    fields: Literal["both", "separate", "structured", "none"] = Field(
        default="both", exclude_if=lambda fields: fields == "both"
    )
    """Which response fields tell of it: ``ratelimit-limit``, ``-remaining`` and ``-reset``, or ``ratelimit`` and
    ``ratelimit-policy``."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What makes a caller."""
        return parts_of(self.by)

    @property
    def amount(self) -> Amount:
        """How much callers may do of whom nothing else is said."""
        return Amount(requests=self.requests, period_seconds=self.period_seconds, burst=self.burst)

    def of_amount(self, amount: Amount) -> Limit:
        """The same limit with ``amount`` for everybody."""
        figures = amount.model_dump(include={"requests", "period_seconds", "burst"})
        return self.model_copy(update={**figures, "tiers": {}, "cases": ()})


class Limits(Contract):
    """Limits, each name once."""

    limits: tuple[Limit, ...] = ()


class LimitPolicy(Limits):
    """Everything that the rate-limit service needs to decide."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.LimitPolicy"

    others: tuple[Limits, ...] = Field(default=(), max_length=MOST_OTHERS, exclude_if=lambda others: not others)
    """What proxies run beside this: a node group that was rolled back, a canary, an Envoy that has not followed yet.
    A limit that is not in this policy (by its name and its ``by``) is looked for here; the first that has it holds.
    One that stands in both has this policy's numbers: its buckets are shared by all proxies."""
