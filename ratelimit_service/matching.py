"""Descriptors to limits: which buckets a request takes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ratelimit_service.decision import Take
from ratelimit_service.keys import bucket_key
from ratelimit_service.policy import CompiledLimit
from servicekit.contracts.limit_policy import DOMAIN, LIMIT_ENTRY, TIER_ENTRY

IPV6_PREFIX = 64
"""Bits of an IPv6 address that make one caller: a single subscriber has at least this much to change at will."""

_LENGTHS = (2, 3)


class Descriptor(NamedTuple):
    """One rate-limit descriptor. A ``NamedTuple`` because one is built for every request."""

    entries: tuple[tuple[str, str], ...]
    hits: int


class Matched(NamedTuple):
    """What a request wants."""

    places: list[int | None]
    """For every descriptor, which of the takes is its own; ``None`` where no limit applies."""
    takes: list[Take]
    """Distinct buckets: descriptors that name the same one are added up."""
    limits: list[CompiledLimit]
    """The limit of each take."""


def match(find: Callable[[str, str], CompiledLimit | None], domain: str, descriptors: Sequence[Descriptor]) -> Matched:
    """Look every descriptor up.

    Args:
        find: a limit by its name and ``by``.
        domain: only ``gateway`` has limits.
        descriptors: ``[("limit", name), (by, caller)]`` each, and perhaps ``("tier", tier)``; anything else has no
            limit.
    """
    matched = Matched([], [], [])
    for descriptor in descriptors:
        limit = _limit(find, descriptor.entries) if domain == DOMAIN else None
        matched.places.append(None if limit is None else _place(matched, limit, descriptor))
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


def _place(matched: Matched, limit: CompiledLimit, descriptor: Descriptor) -> int:
    key = bucket_key(limit.seed, _caller(limit.by, descriptor.entries[1][1]))
    for place, take in enumerate(matched.takes):
        if take.key == key:
            matched.takes[place] = take._replace(hits=take.hits + descriptor.hits)
            return place
    matched.takes.append(Take(key, limit.shape, descriptor.hits))
    matched.limits.append(limit)
    return len(matched.takes) - 1


def _caller(by: str, value: str) -> str:
    if by != "ip" or ":" not in value:
        return value
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return value
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
