"""``LimitOverrides``: other amounts for single callers of single limits, in parts, as the service looks them up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from servicekit.contracts.base import Contract
from servicekit.contracts.limit_policy import LONGEST_FILL_SECONDS, Amount

MOST_VALUES: Final = 16
"""That one caller can be made of."""

_ID_BYTES: Final = 16

Ruling = Literal["amount", "unlimited", "denied"]


class Override(Contract):
    """What one caller may do under one limit, whatever the limit or the caller's tier say."""

    id: str
    """:func:`override_id` of the next two."""
    limit: str
    caller: tuple[str, ...] = Field(min_length=1, max_length=MOST_VALUES)
    """As the service counts it, a value for each thing that the limit tells callers apart by, in its order."""
    ruling: Ruling
    amount: Amount | None = Field(default=None, exclude_if=lambda amount: amount is None)
    """How much, where :attr:`ruling` is ``amount``."""
    expires_at: float | None = Field(default=None, exclude_if=lambda until: until is None)
    """Seconds since the epoch; from then on the limit itself counts again."""

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        if (self.ruling == "amount") is (self.amount is None):
            raise ValueError("an amount stands where the ruling is amount, and nowhere else")
        if self.amount is not None and fills_in(self.amount) > LONGEST_FILL_SECONDS:
            raise ValueError("the bucket would never fill up")
        return self


class LimitOverrides(Contract):
    """One part of the overrides; or, called ``index``, the names of the parts that there are."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.LimitOverrides"

    overrides: tuple[Override, ...] = Field(default=(), exclude_if=lambda overrides: not overrides)
    parts: tuple[str, ...] = Field(default=(), exclude_if=lambda parts: not parts)


def override_id(limit: str, caller: Sequence[str]) -> str:
    """The same for the same limit and caller, so that there is one override for them at most; 32 hex digits.

    It stands where names of callers should not: in URLs and in what is left of an override that was removed.
    """
    hashed = hashlib.blake2b(digest_size=_ID_BYTES)
    for part in (limit, *caller):
        data = part.encode()
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.hexdigest()


def fills_in(amount: Amount) -> float:
    """Seconds in which an empty bucket of this amount is full."""
    return amount.burst / amount.requests * amount.period_seconds
