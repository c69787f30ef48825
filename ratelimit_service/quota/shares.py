"""Who gets which share of a limit: by what each asked for lately, and everybody something. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Final, NamedTuple

WHOLE: Final = 10_000
"""Parts that a limit is cut into."""
_FLOOR: Final = WHOLE // 10
"""Of these, shared equally whatever anybody asked for: who was quiet can begin at once."""
_UINT32: Final = 2**32 - 1
_LONGEST: Final = 315_576_000_000
"""Seconds that a message can say."""


class Bucket(NamedTuple):
    """A token bucket, in the numbers of Envoy's messages."""

    max_tokens: int
    tokens_per_fill: int
    fill_seconds: int
    """Whole ones: Envoy leaves out what is after the point, and would fill more often than it was told."""


def shares(demands: Mapping[str, float]) -> dict[str, int]:
    """The parts of each, :data:`WHOLE` at most together.

    Args:
        demands: requests a second that each had lately, refused ones too. Of one who has not said yet, less than 0: as
            much as the others on average.
    """
    if not demands:
        return {}
    known = [demand for demand in demands.values() if demand >= 0]
    usual = sum(known) / len(known) if known else 0.0
    wanted = {name: demand if demand >= 0 else usual for name, demand in demands.items()}
    total = sum(wanted.values())
    if total <= 0:
        return dict.fromkeys(demands, WHOLE // len(demands))
    equal = _FLOOR // len(demands)
    return {name: equal + int((WHOLE - _FLOOR) * demand / total) for name, demand in wanted.items()}


def bucket(parts: int, *, requests: int, period_ms: int, burst: int) -> Bucket:
    """``parts`` of a limit. It refills exactly as fast as its share, or a little slower; it holds one token at least.

    The whole has ``requests`` in ``period_ms`` milliseconds.
    """
    if parts == 0:  # of more than a thousand Envoys one that is asked for nothing
        return Bucket(1, 1, -(-period_ms * WHOLE // 1000))
    tokens, seconds = requests * parts * 1000, WHOLE * period_ms
    fill_seconds = max(1, min(seconds // gcd(tokens, seconds), _UINT32 * seconds // tokens, _LONGEST))
    return Bucket(
        max_tokens=min(_UINT32, max(1, burst * parts // WHOLE)),
        tokens_per_fill=min(_UINT32, tokens * fill_seconds // seconds),
        fill_seconds=fill_seconds,
    )
