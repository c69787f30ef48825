"""``LimitPolicy`` in the form that decides, with the limits that stand beside it or have left it a moment ago."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Literal, NamedTuple

from ratelimit_service.rulings import UNLIMITED, denial
from servicekit.buckets.bucket import MICROSECONDS, Shape, UnfitLimitError, time_to_full
from servicekit.buckets.forms import form_of, period_us, seed_of
from servicekit.buckets.leases import Leases
from servicekit.buckets.takes import Level
from servicekit.buckets.window import Form
from servicekit.contracts import Amount, Limit, LimitPolicy, Limits
from servicekit.contracts.limit_callers import asked_early
from servicekit.contracts.limit_policy import ALWAYS_THERE, Grant, WhenExceeded
from servicekit.limit_cases import CaseError, Fits, compile_case
from servicekit.retained import Retained

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
    by: str
    parts: tuple[str, ...]
    """What makes a caller."""
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
    tiers: Mapping[str, Ruled] = field(default_factory=dict)
    """What holds for callers of a tier."""
    cases: Sequence[tuple[Fits, Ruled]] = ()
    """What holds for callers who fit; the first."""
    most_cost: int = 0
    """The most that a request may say it costs; 0 where it says nothing."""
    counts_leases: bool = False
    """Whether it counts requests in flight."""
    is_plain: bool = True
    """Whether a descriptor names the limit and the caller, and no more."""
    requests: int = 0
    period_ms: int = 0
    is_quota: bool = False
    """Whether Envoys count by themselves."""
    when_exceeded: WhenExceeded = "refuse"
    max_wait: float = 0.0
    max_waiting: int = 0
    pace: float = 0.0
    """Seconds in which one token flows in; 0 where nobody knows."""
    priority: int | None = None
    """How urgent requests of these callers are, whatever their route says."""
    refuses: bool = True
    """Whether a request may fail by it, be it after it has waited."""
    is_apart: bool = False
    """Whether it is asked for in a call of its own, beside that of other limits of the route."""
    fields: Literal["both", "separate", "structured", "none"] = "both"
    """Which response fields tell of it."""
    policy_field: str = ""
    """The value of ``RateLimit-Policy``."""


class Ruled(NamedTuple):
    """What holds for one caller of one limit."""

    limit: CompiledLimit
    level: Level | None
    """The answer, where nothing is counted; ``None`` where ``limit`` counts, with the caller's own amount."""


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
    plain = CompiledLimit(
        name=limit.name,
        by=limit.by,
        parts=limit.parts,
        requests_per_unit=requests_per_unit,
        unit=unit,
        shape=whole,
        local_shape=local,
        on_store_failure=limit.on_store_failure,
        seed=seed_of(limit),
        with_amount=partial(_with_amount, limit, local_share),
        most_cost=limit.most_cost or 0,
        counts_leases=limit.algorithm == "concurrency",
        is_plain=limit.by in ALWAYS_THERE
        and limit.algorithm != "concurrency"
        and limit.when_exceeded != "queue"
        and not (limit.tiers or limit.cases or limit.most_cost),
        requests=limit.requests,
        period_ms=max(1, round(limit.period_seconds * 1000)),
        is_quota=limit.is_quota,
        when_exceeded=limit.when_exceeded,
        max_wait=limit.max_wait_seconds,
        max_waiting=limit.max_waiting,
        pace=limit.period_seconds / limit.requests if limit.algorithm == "token_bucket" else 0.0,
        refuses=limit.when_exceeded in ("refuse", "queue"),
        is_apart=asked_early(limit.parts) or limit.when_exceeded == "queue",
        fields=limit.fields,
        policy_field=_policy_field(limit.name, whole),
    )
    try:
        cases = [
            (compile_case(case, limit.parts), _granted(limit, plain, local_share, case.grant)) for case in limit.cases
        ]
    except CaseError as error:
        raise PolicyError(f"limit {limit.name!r}: {error}") from None
    tiers = {name: _granted(limit, plain, local_share, grant) for name, grant in limit.tiers.items()}
    return replace(plain, tiers=tiers, cases=cases)


def _policy_field(name: str, form: Form) -> str:
    """What fits in at once, and the seconds in which as much flows in."""
    if isinstance(form, Leases):
        return f'"{name}";q={form.burst};qu="concurrent-requests"'
    full_us = time_to_full(form.capacity, form) if isinstance(form, Shape) else form.period_us
    return f'"{name}";q={form.burst};w={max(1, -(-full_us // MICROSECONDS))}'


def _granted(limit: Limit, plain: CompiledLimit, local_share: Fraction, grant: Grant) -> Ruled:
    if isinstance(grant, Amount):
        return Ruled(_with_amount(limit, local_share, grant), None)
    return Ruled(plain, UNLIMITED if grant == "unlimited" else denial())


def _with_amount(limit: Limit, local_share: Fraction, amount: Amount) -> CompiledLimit:
    return replace(_compile(limit.of_amount(amount), local_share), priority=amount.priority)


def _in_units(requests: int, period_us: int) -> tuple[int, Unit]:
    """The same rate in one of Envoy's units: the document's own, else the first that gives a whole number."""
    exact = [(requests, unit) for unit, seconds in _UNITS if seconds * MICROSECONDS == period_us]
    scaled = [
        (requests * seconds * MICROSECONDS // period_us, unit)
        for unit, seconds in _UNITS
        if requests * seconds * MICROSECONDS % period_us == 0
    ]
    return (exact + scaled or [(requests, "UNKNOWN")])[0]
