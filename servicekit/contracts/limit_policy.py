"""``LimitPolicy``: how much is allowed, as the rate-limit service enforces it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from servicekit.contracts.base import Contract

DOMAIN = "gateway"
"""The rate-limit domain of every request that the gateway's own Envoy asks about."""

LONGEST_FILL_SECONDS = 2**52 / 1_000_000
"""A bucket takes at most this long (142 years) to fill: beyond it the arithmetic would not be exact."""

LIMIT_ENTRY = "limit"
"""Key of the descriptor entry that names the :class:`Limit`. The entry after it has the limit's ``by`` as
its key and the caller as its value: ``[("limit", "per-user"), ("user", "…")]``."""


class Limit(Contract):
    """One token bucket per caller."""

    name: str
    by: Literal["user", "api_key", "ip"]
    """What a caller is."""
    requests: int = Field(gt=0)
    """Tokens that flow in, evenly, in one :attr:`period_seconds`."""
    period_seconds: float = Field(gt=0)
    burst: int = Field(gt=0)
    """Tokens that a bucket holds at most."""
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    """What decides while Redis does not: a bucket in this process, yes, or no."""


class LimitPolicy(Contract):
    """Everything that the rate-limit service needs to decide."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.LimitPolicy"

    limits: tuple[Limit, ...] = ()
