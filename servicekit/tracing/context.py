"""``traceparent`` (W3C Trace Context, level 1, §3.2): which trace a request belongs to, and whether it is recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SHAPE: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1
_LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where a span belongs."""

    trace_id: str
    """32 hex digits."""
    parent_id: str
    """16 hex digits."""
    sampled: bool


def parse_traceparent(text: str) -> TraceContext | None:
    """The context in a header; ``None`` for anything that the specification says to ignore."""
    match = _SHAPE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    # Versions to come may say more; the first one may not, and ff is none (§3.2.2.1).
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id == "0" * 32 or parent_id == "0" * 16:
        return None
    return TraceContext(trace_id, parent_id, bool(int(flags, 16) & _SAMPLED))
