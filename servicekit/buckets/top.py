"""Where in Redis the callers stand that ask most: sorted sets of a bounded size, for a bounded time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal

from servicekit.buckets.keys import bucket_key, key_seed

WINDOW_SECONDS: Final = 300
"""For which one set counts. It is read until the window after it has ended."""
MOST_KEPT: Final = 1000
"""Callers in one set."""

Kind = Literal["asked", "exceeded"]

_SEED: Final = key_seed("top")


def top_key(kind: Kind, limit: str, window: int) -> bytes:
    """The set of one limit and one window, which is a number of :data:`WINDOW_SECONDS` since the epoch."""
    return bucket_key(_SEED, kind, limit, str(window))


def member_of(caller: Sequence[str]) -> bytes:
    """A caller, as the sets name one."""
    return json.dumps(list(caller), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def caller_of(member: bytes) -> tuple[str, ...] | None:
    """The caller whom :func:`member_of` wrote; ``None`` for anything else."""
    try:
        values = json.loads(member)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        return None
    return tuple(values)
