"""Descriptors to limits: which buckets a request takes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Final, NamedTuple, Protocol

from ratelimit_service.decision import Verdict
from ratelimit_service.policy import CompiledLimit, Ruled
from ratelimit_service.rulings import UNLIMITED
from servicekit.buckets.keys import bucket_key
from servicekit.buckets.leases import lease_number
from servicekit.buckets.takes import Take, charge
from servicekit.contracts.limit_callers import counted_as
from servicekit.contracts.limit_policy import (
    BY_ENTRY,
    CHARGE_ENTRY,
    COST_ENTRY,
    DOMAIN,
    LEASE_ENTRY,
    LIMIT_ENTRY,
    NO_TIER,
    PRIORITY_ENTRY,
    RELEASE_ENTRY,
    TIER_ENTRY,
    USUAL_PRIORITY,
)

_PRIORITIES: Final = frozenset("0123456789")
_LONGEST_COST: Final = 10
"""Digits."""


class Descriptor(NamedTuple):
    """One rate-limit descriptor. A ``NamedTuple`` because one is built for every request."""

    entries: tuple[tuple[str, str], ...]
    hits: int


class Matched(NamedTuple):
    """What a request wants."""

    places: list[int | Verdict | None]
    """For every descriptor, which of the takes is its own, or the verdict where nothing is counted for this caller;
    ``None`` where no limit applies."""
    callers: list[tuple[str, ...] | None]
    """For every descriptor, who asks; ``None`` where no limit applies, and where a request is over that was counted."""
    takes: list[Take]
    """Distinct buckets: descriptors that name the same one are added up."""
    limits: list[CompiledLimit]
    """The limit of each take."""
    priorities: list[int]
    """How urgent the request is, by those of its limits under which it may wait."""


class Overrides(Protocol):
    """What was said of single callers."""

    def find(self, limit: CompiledLimit, caller: tuple[str, ...], /) -> Ruled | None:
        """What holds for ``caller`` in place of ``limit``, if anything does."""
        ...


def match(
    find: Callable[[str, str], CompiledLimit | None],
    overrides: Overrides,
    domain: str,
    descriptors: Sequence[Descriptor],
) -> Matched:
    """Look every descriptor up.

    Args:
        find: a limit by its name and ``by``.
        overrides: what holds for single callers instead.
        domain: only ``gateway`` has limits.
        descriptors: as :mod:`servicekit.contracts.limit_policy` has their entries; anything else has no limit.
    """
    matched = Matched([], [], [], [], [])
    for descriptor in descriptors:
        limit = _limit(find, descriptor.entries) if domain == DOMAIN else None
        if limit is None:
            matched.places.append(None)
            matched.callers.append(None)
        else:
            matched.places.append(_place(matched, limit, overrides, descriptor))
    return matched


def is_over(matched: Matched) -> bool:
    """Whether this is no question: the request was decided, and is over."""
    return None not in matched.places and all(caller is None for caller in matched.callers)


def _limit(
    find: Callable[[str, str], CompiledLimit | None], entries: tuple[tuple[str, str], ...]
) -> CompiledLimit | None:
    if len(entries) < 2 or entries[0][0] != LIMIT_ENTRY:
        return None
    key, value = entries[1]
    return find(entries[0][1], value if key == BY_ENTRY else key)


def _place(matched: Matched, limit: CompiledLimit, overrides: Overrides, descriptor: Descriptor) -> int | Verdict:
    hits, afterwards = descriptor.hits, False
    said: Mapping[str, str] = {}
    if limit.is_plain:
        caller: tuple[str, ...] = (counted_as(limit.by, descriptor.entries[1][1]),)
        ruled = overrides.find(limit, caller)
    else:
        said = dict(descriptor.entries)
        caller = tuple([counted_as(part, said.get(part, "")) for part in limit.parts])
        ruled = overrides.find(limit, caller) or _granted(limit, caller, said.get(TIER_ENTRY, NO_TIER))
        afterwards = CHARGE_ENTRY in said or RELEASE_ENTRY in said
        hits = _hits(limit, said, hits)
    matched.callers.append(None if afterwards else caller)
    if ruled is not None and ruled.level is not None:
        return Verdict(limit, UNLIMITED if afterwards else ruled.level)
    if afterwards and hits == 0:  # it cost no more than it paid when it came
        return Verdict(limit, UNLIMITED)
    if ruled is not None:
        limit = ruled.limit
    if limit.when_exceeded == "queue" and not afterwards:
        matched.priorities.append(_priority(said) if limit.priority is None else limit.priority)
    key = bucket_key(limit.seed, *caller)
    for place, take in enumerate(matched.takes):
        if take.key == key:
            matched.takes[place] = take._replace(hits=take.hits + hits)
            return place
    matched.takes.append(Take(key, limit.shape, hits))
    matched.limits.append(limit)
    return len(matched.takes) - 1


def _hits(limit: CompiledLimit, said: Mapping[str, str], hits: int) -> int:
    if limit.counts_leases:
        number = lease_number(said.get(LEASE_ENTRY) or token_hex(8))
        return -number if RELEASE_ENTRY in said else number if hits else 0
    if CHARGE_ENTRY in said:
        return charge(min(hits, limit.most_cost) - 1)
    return hits * _cost(said.get(COST_ENTRY, ""), limit.most_cost) if limit.most_cost else hits


def _granted(limit: CompiledLimit, caller: tuple[str, ...], tier: str) -> Ruled | None:
    for fits, ruled in limit.cases:
        if fits(caller):
            return ruled
    return limit.tiers.get(tier)


def _priority(said: Mapping[str, str]) -> int:
    priority = said.get(PRIORITY_ENTRY, "")
    return int(priority) if priority in _PRIORITIES else USUAL_PRIORITY


def _cost(said: str, most: int) -> int:
    """What a request says it costs; 1 if it says nothing of sense."""
    if len(said) > _LONGEST_COST or not (said.isascii() and said.isdecimal()):
        return 1
    return min(max(int(said), 1), most)
