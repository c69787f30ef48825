"""``LimitPolicy``: how much is allowed, as the rate-limit service enforces it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from servicekit.contracts.base import MOST_OTHERS, Contract

DOMAIN = "gateway"
"""The rate-limit domain of every request that the gateway's own Envoy asks about."""

LONGEST_FILL_SECONDS = 2**52 / 1_000_000
"""A bucket takes at most this long (142 years) to fill: beyond it the arithmetic would not be exact."""

LIMIT_ENTRY = "limit"
"""Key of the descriptor entry that names the :class:`Limit`. The entry after it has the limit's ``by`` as
its key and the caller as its value: ``[("limit", "per-user"), ("user", "…")]``."""


Algorithm = Literal["token_bucket", "fixed_window", "sliding_window"]


TIER_ENTRY = "tier"
"""Key of the third entry, which a limit with :attr:`Limit.tiers` has: the caller's tier."""

NO_TIER = "-"
"""The tier of a caller who has none; no tier of a policy is called that."""


class Amount(Contract):
    """How much callers of one tier may do."""

    requests: int = Field(gt=0)
    period_seconds: float = Field(gt=0)
    burst: int = Field(gt=0)


class Limit(Contract):
    """One token bucket, or one row of windows, per caller."""

    name: str
    by: Literal["user", "api_key", "ip"]
    """What a caller is."""
    algorithm: Algorithm = Field(default="token_bucket", exclude_if=lambda algorithm: algorithm == "token_bucket")
    requests: int = Field(gt=0)
    """Tokens that flow in, evenly, in one :attr:`period_seconds`; or places in a window of that length."""
    period_seconds: float = Field(gt=0)
    burst: int = Field(gt=0)
    """Tokens that a bucket holds at most. Windows have no use for it."""
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    """What decides while Redis does not: a bucket in this process, yes, or no."""
    tiers: dict[str, Amount] = Field(default_factory=dict, exclude_if=lambda tiers: not tiers)
    """Other amounts for callers of these tiers. A caller whose tier changes keeps what was taken."""


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
