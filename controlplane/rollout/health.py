"""Whether the nodes of a canary fare worse than the others. Pure."""

from __future__ import annotations

from typing import Final

from controlplane.xds.load_book import Load

FEWEST_REQUESTS: Final = 20
"""Fewer say nothing: with 5 % allowed, one failed request of ten would end a canary."""


def complaint(canary: Load, others: Load, *, max_error_rate: float) -> str | None:
    """Why the canary is unhealthy; ``None`` when it is not, or when too few requests were seen to tell.

    It is when its error rate is above ``max_error_rate`` and above that of the other nodes in the same time: an
    upstream that fails for everybody is not the canary's fault. Other nodes that had fewer than
    :data:`FEWEST_REQUESTS` count as faultless.
    """
    if canary.total < FEWEST_REQUESTS or canary.error_rate <= max_error_rate:
        return None
    usual = others.error_rate if others.total >= FEWEST_REQUESTS else 0.0
    if canary.error_rate <= usual:
        return None
    return (
        f"{canary.failed} of {canary.total} requests failed ({canary.error_rate:.1%}); "
        f"allowed are {max_error_rate:.1%}, and elsewhere {usual:.1%} of {others.total} failed"
    )
