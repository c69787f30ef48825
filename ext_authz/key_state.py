"""What is known of one issuer's keys, and when to ask for them: a state machine with no socket and no clock.

Times are seconds of a clock that never goes back; every method is told the time.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import Final

from ext_authz.keys import KeySet
from ext_authz.rules import KeySource

REFRESH_AT: Final = 0.8
"""Share of the ttl after which keys are fetched again, so that they are new before they are old."""
FIRST_RETRY: Final = 0.5
LAST_RETRY: Final = 10.0
SHORTEST_PAUSE: Final = 0.1
"""Seconds between two background fetches, however short the ttl is."""
MAX_ABSENT: Final = 1024
"""Unknown kids remembered; an attacker who invents more only pushes out his own."""
ABSENT_COOLDOWNS: Final = 6
"""How many cool-downs an unknown kid is remembered."""


class Demand(Enum):
    """What a token may cause that needs a key which isn't there."""

    FETCH = auto()
    """Ask the provider now."""
    ABSENT = auto()
    """The provider was asked and has no such key."""
    UNREACHABLE = auto()
    """The provider was asked and did not answer."""


class KeyState:
    """The keys of one :class:`KeySource`."""

    def __init__(self, source: KeySource) -> None:
        self.source = source
        self.key_set: KeySet | None = source.given
        self.fetched_at: float | None = None
        self.last_error: str | None = None
        self._failures = 0
        self._tried_at = float("-inf")
        # Two budgets, so that the first fetch of all does not delay the one for a key that was rotated in just after.
        self._demanded_any = float("-inf")
        self._demanded_kid = float("-inf")
        self._absent: OrderedDict[str, float] = OrderedDict()

    def current(self, now: float) -> KeySet | None:
        """The keys that may be used: fresh ones, or stale ones within the bound."""
        if self.fetched_at is None or now < self.fetched_at + self.source.ttl + self.source.stale:
            return self.key_set
        return None

    def seconds_until_refresh(self, now: float, jitter: float) -> float:
        """How long to sleep before the next background fetch; ``jitter`` (0 to 1) spreads several processes."""
        if self.source.fixed:
            return float("inf")
        if self._failures:
            pause = min(FIRST_RETRY * (1 << min(self._failures - 1, 10)), LAST_RETRY, self.source.ttl)
            due = self._tried_at + pause * (0.5 + jitter / 2)
        elif self.fetched_at is None:
            due = now
        else:
            due = self.fetched_at + self.source.ttl * REFRESH_AT * (0.9 + jitter / 10)
        return max(0.0, due - now, self._tried_at + SHORTEST_PAUSE - now)

    def demand(self, kid: str | None, now: float) -> Demand:
        """A token names ``kid`` (or no key is there at all): may the provider be asked because of it?

        At most once per cool-down, whatever kids are invented.
        """
        if self.source.fixed:
            return Demand.ABSENT
        if kid is not None and self._is_absent(kid, now):
            return Demand.ABSENT
        last = self._demanded_any if kid is None else self._demanded_kid
        if now < last + self.source.cooldown:
            return Demand.UNREACHABLE if self._failures or kid is None else Demand.ABSENT
        if kid is None:
            self._demanded_any = now
        else:
            self._demanded_kid = now
        return Demand.FETCH

    def succeeded(self, key_set: KeySet, now: float) -> bool:
        """The provider answered: its answer replaces the whole set. Returns whether that changed anything."""
        self.fetched_at = self._tried_at = now
        self._failures = 0
        self.last_error = None
        if self.key_set is not None and self.key_set.version == key_set.version:
            return False
        self.key_set = key_set
        self._absent.clear()
        return True

    def failed(self, error: str, now: float) -> None:
        """The provider did not answer, or not with keys."""
        self._tried_at = now
        self._failures += 1
        self.last_error = error

    def note_absent(self, kid: str, now: float) -> None:
        """A fetch made for ``kid`` did not bring it."""
        self._absent[kid] = now + ABSENT_COOLDOWNS * self.source.cooldown
        if len(self._absent) > MAX_ABSENT:
            self._absent.popitem(last=False)

    @property
    def failures(self) -> int:
        """Attempts to fetch that failed since the last that did not."""
        return self._failures

    @property
    def reachable(self) -> bool:
        """Whether the last attempt to fetch worked."""
        return self._failures == 0

    def _is_absent(self, kid: str, now: float) -> bool:
        until = self._absent.get(kid)
        if until is None:
            return False
        if now >= until:
            del self._absent[kid]
            return False
        return True
