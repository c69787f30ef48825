"""``LimitPolicy`` in the form that decides, with the limits that stand beside it or have left it a moment ago."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Literal

from servicekit.buckets.bucket import MICROSECONDS, UnfitLimitError
from servicekit.buckets.forms import form_of, period_us, seed_of
from servicekit.buckets.window import Form
from servicekit.contracts import Amount, Limit, LimitPolicy, Limits
from servicekit.retained import Retained

By = Literal["user", "api_key", "ip"]
Unit = Literal["UNKNOWN", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK"]
_UNITS: tuple[tuple[Unit, int], ...] = (
    ("SECOND", 1),
    ("MINUTE", 60),
    ("HOUR", 3600),
    ("DAY", 86_400),
    ("WEEK", 604_800),
)


class PolicyError(Exception):
    """A policy that can't be enforced; the text names the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledLimit:
    """One limit with everything worked out that does not depend on the request."""

    name: str
    by: By
    requests_per_unit: int
    unit: Unit
    """The rate in Envoy's words; ``UNKNOWN`` with the document's number where no unit divides its period."""
    shape: Form
    local_shape: Form
    """This process' share, for decisions while the store is away."""
    on_store_failure: Literal["local", "allow", "deny"]
    seed: hashlib.blake2b = field(compare=False, repr=False)
    """The key of a bucket but for the caller; see :mod:`servicekit.buckets.keys`."""
    with_amount: Callable[[Amount], CompiledLimit] = field(compare=False, repr=False)
    """The same limit with another amount; what was taken stays taken."""
    tiers: Mapping[str, CompiledLimit] = field(default_factory=dict)
    """The same limit with the amounts of a tier."""


Table = dict[tuple[str, str], CompiledLimit]
"""Limits by name and ``by``."""


class PolicyBook:
    """The current policy, and what else proxies may ask for."""

    def __init__(self, *, clock: Callable[[], float], local_share: float = 1.0) -> None:
        self._clock = clock
        self._local_share = Fraction(local_share).limit_denominator(10_000)
        self._current: Table = {}
        self._retained: Retained[tuple[str, str], CompiledLimit] = Retained()
        self.applied = False

    def apply(self, policy: LimitPolicy) -> None:
        """Make ``policy`` the current one; equal limits keep their buckets, changed ones their callers' debt.

        Raises:
            PolicyError: a limit can't be enforced, or two of one policy have one name. Nothing has changed then.
        """
        compiled = compile_policy(policy, self._local_share)
        others: Table = {}
        for other in policy.others:
            others = compile_policy(other, self._local_share) | others
        self._retained.follow(before=self._current, current=compiled, others=others, now=self._clock())
        self._current = compiled
        self.applied = True

    def find(self, name: str, by: str) -> CompiledLimit | None:
        """The limit that a descriptor names, if there is one."""
        limit = self._current.get((name, by))
        return limit if limit is not None else self._retained.get((name, by), self._clock())


def compile_policy(policy: Limits, local_share: Fraction) -> Table:
    """Every limit of ``policy``, ready to be used.

    Raises:
        PolicyError: a limit can't be enforced, or two have one name.
    """
    names = [limit.name for limit in policy.limits]
    if len(set(names)) < len(names):
        raise PolicyError(f"limit {Counter(names).most_common(1)[0][0]!r} stands in the policy twice")
    return {(limit.name, limit.by): _compile(limit, local_share) for limit in policy.limits}


def _compile(limit: Limit, local_share: Fraction) -> CompiledLimit:
    try:
        whole, local = form_of(limit), form_of(limit, local_share)
    except UnfitLimitError as error:
        raise PolicyError(f"limit {limit.name!r}: {error}") from None
    requests_per_unit, unit = _in_units(limit.requests, period_us(limit))
    return CompiledLimit(
        name=limit.name,
        by=limit.by,
        requests_per_unit=requests_per_unit,
        unit=unit,
        shape=whole,
        local_shape=local,
        on_store_failure=limit.on_store_failure,
        seed=seed_of(limit),
        with_amount=partial(_with_amount, limit, local_share),
        tiers={name: _with_amount(limit, local_share, amount) for name, amount in limit.tiers.items()},
    )


def _with_amount(limit: Limit, local_share: Fraction, amount: Amount) -> CompiledLimit:
    return _compile(limit.model_copy(update={**dict(amount), "tiers": {}}), local_share)


def _in_units(requests: int, period_us: int) -> tuple[int, Unit]:
    """The same rate in one of Envoy's units: the document's own, else the first that gives a whole number."""
    exact = [(requests, unit) for unit, seconds in _UNITS if seconds * MICROSECONDS == period_us]
    scaled = [
        (requests * seconds * MICROSECONDS // period_us, unit)
        for unit, seconds in _UNITS
        if requests * seconds * MICROSECONDS % period_us == 0
    ]
    return (exact + scaled or [(requests, "UNKNOWN")])[0]
