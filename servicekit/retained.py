"""What is not in the current policy and may still be asked for: one mechanism for every service that has a policy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

GRACE_SECONDS: Final = 300.0
"""How long something goes on after it left the policy: a proxy may still run what names it. One that is cut off hears
of no change; Envoy alone waits for up to 30 s before it connects again, and the control plane may be away meanwhile."""

MOST: Final = 10_000
"""What has left and goes on, at most; what leaves soonest goes first."""


class Retained(Generic[K, V]):
    """The table behind the current one. Nobody looks here who finds what he wants in the current policy.

    What a policy has beside its own (``others``) stays as long as it stands there; what leaves goes on for a while.

    Args:
        grace: seconds of that while.
        most: how many of those that leave are kept.
    """

    def __init__(self, *, grace: float = GRACE_SECONDS, most: int = MOST) -> None:
        self._grace = grace
        self._most = most
        self._entries: dict[K, tuple[float, V]] = {}

    def follow(self, *, before: Mapping[K, V], current: Mapping[K, V], others: Mapping[K, V], now: float) -> None:
        """``current`` takes the place of ``before`` at ``now`` (seconds of a clock that never goes back)."""
        leaves_at = now + self._grace
        entries = {key: (min(until, leaves_at), value) for key, (until, value) in self._entries.items() if now < until}
        entries |= {key: (leaves_at, value) for key, value in before.items()}
        entries |= {key: (math.inf, value) for key, value in others.items()}
        self._entries = {key: entry for key, entry in entries.items() if key not in current}
        if len(self._entries) - len(others) > self._most:
            last = sorted(self._entries.items(), key=lambda item: item[1][0])
            self._entries = dict(last[len(last) - len(others) - self._most :])

    def get(self, key: K, now: float) -> V | None:
        """What ``key`` means outside the current policy, if anything."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and now < entry[0] else None

    def values(self) -> Iterator[V]:
        """Everything that may still be asked for."""
        return (value for _, value in self._entries.values())
