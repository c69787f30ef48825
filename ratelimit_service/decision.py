"""From what the limits of one request say to one answer. No protobuf, no clock, no store.

The types are ``NamedTuple``: immutable too, and a third of a frozen dataclass' cost where some are made per request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ratelimit_service.policy import CompiledLimit
from ratelimit_service.rulings import UNLIMITED
from servicekit.buckets.takes import Level

Source = Literal["store", "cache", "fallback", "override", "queue"]
"""What decided: the shared store, the memory of who is over the limit, this process while the store was away, what
was said of the caller, for which nothing has to be counted, or a line in which it waited in vain."""


class Verdict(NamedTuple):
    """One descriptor's limit and what its bucket said."""

    limit: CompiledLimit
    level: Level


class Decision(NamedTuple):
    """The answer to one request."""

    allowed: bool
    verdicts: Sequence[Verdict | None]
    """In the order of the descriptors; ``None`` where no limit applies."""
    tightest: Verdict | None
    """The limit that the caller should hear of; ``None`` where nothing was counted."""
    source: Source | None
    """``None`` when no limit applied."""


def decide(verdicts: Sequence[Verdict | None], source: Source | None) -> Decision:
    """Join what the limits of a request's descriptors say, in the descriptors' order. Those that refuse nobody have no
    say."""
    found = [verdict for verdict in verdicts if verdict is not None and verdict.limit.refuses]
    denying = [verdict for verdict in found if not verdict.level.fits]
    return Decision(
        allowed=not denying,
        verdicts=verdicts,
        tightest=_longest_wait(denying) if denying else _least_left(found),
        source=source,
    )


def _longest_wait(denying: Sequence[Verdict]) -> Verdict:
    return max(denying, key=lambda verdict: verdict.level.reset_us)


def _least_left(found: Sequence[Verdict]) -> Verdict | None:
    if len(found) == 1:
        return None if found[0].level is UNLIMITED else found[0]
    found = [verdict for verdict in found if verdict.level is not UNLIMITED]
    return min(found, key=lambda verdict: (verdict.level.remaining, -verdict.level.reset_us), default=None)
