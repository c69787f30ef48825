"""Answers for which nothing is counted."""

from __future__ import annotations

from typing import Final

from servicekit.buckets.bucket import MICROSECONDS
from servicekit.buckets.takes import Level

UNLIMITED: Final = Level(True, 2**32 - 1, 0)
"""Of a caller for whom nothing is counted. This very object, so that others may be told nothing of it."""

LONGEST_DENIAL: Final = 3600.0
"""Seconds that a denied caller is told to wait at most: whoever denied may think better of it."""


def denial(seconds: float = LONGEST_DENIAL) -> Level:
    """Of a caller who gets nothing, for ``seconds`` more if that is soon."""
    return Level(False, 0, max(1, round(min(seconds, LONGEST_DENIAL) * MICROSECONDS)))
