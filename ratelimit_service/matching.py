"""Descriptors to limits: which buckets a request takes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ratelimit_service.decision import Verdict
from ratelimit_service.overrides import Ruled
from ratelimit_service.policy import CompiledLimit
from servicekit.buckets.keys import bucket_key
from servicekit.buckets.takes import Take
from servicekit.contracts.limit_callers import counted_as
from servicekit.contracts.limit_policy import DOMAIN, LIMIT_ENTRY, TIER_ENTRY

_LENGTHS = (2, 3)


class Descriptor(NamedTuple):
    """One rate-limit descriptor. A ``NamedTuple`` because one is built for every request."""

    entries: tuple[tuple[str, str], ...]
    hits: int


class Matched(NamedTuple):
    """What a request wants."""

    places: list[int | Verdict | None]
    """For every descriptor, which of the takes is its own, or the verdict where nothing is counted for this caller;
    ``None`` where no limit applies."""
    takes: list[Take]
    """Distinct buckets: descriptors that name the same one are added up."""
    limits: list[CompiledLimit]
    """The limit of each take."""


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
        descriptors: ``[("limit", name), (by, caller)]`` each, and perhaps ``("tier", tier)``; anything else has no
            limit.
    """
    matched = Matched([], [], [])
    for descriptor in descriptors:
        limit = _limit(find, descriptor.entries) if domain == DOMAIN else None
        matched.places.append(None if limit is None else _place(matched, limit, overrides, descriptor))
    return matched


def _limit(
    find: Callable[[str, str], CompiledLimit | None], entries: tuple[tuple[str, str], ...]
) -> CompiledLimit | None:
    if len(entries) not in _LENGTHS or entries[0][0] != LIMIT_ENTRY:
        return None
    limit = find(entries[0][1], entries[1][0])
    if limit is None or len(entries) == _LENGTHS[0]:
        return limit
    key, tier = entries[2]
    return limit.tiers.get(tier, limit) if key == TIER_ENTRY else None


def _place(matched: Matched, limit: CompiledLimit, overrides: Overrides, descriptor: Descriptor) -> int | Verdict:
    caller = (counted_as(limit.by, descriptor.entries[1][1]),)
    ruled = overrides.find(limit, caller)
    if ruled is not None:
        if ruled.level is not None:
            return Verdict(limit, ruled.level)
        limit = ruled.limit
    key = bucket_key(limit.seed, *caller)
    for place, take in enumerate(matched.takes):
        if take.key == key:
            matched.takes[place] = take._replace(hits=take.hits + descriptor.hits)
            return place
    matched.takes.append(Take(key, limit.shape, descriptor.hits))
    matched.limits.append(limit)
    return len(matched.takes) - 1
