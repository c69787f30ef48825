"""One request's way to its decision by the rules of files: each descriptor is counted by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ratelimit_service.local_store import LocalStore
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.rules.matching import Asked, Ruled, match
from ratelimit_service.rules.metrics import RuleMetrics
from ratelimit_service.rules.tree import Domains
from ratelimit_service.store import Store, StoreError
from servicekit.buckets.takes import Level, Take


class Outcome(NamedTuple):
    """What one descriptor's limit says."""

    ruled: Ruled
    level: Level | None
    """``None`` of unlimited ones."""

    @property
    def over(self) -> bool:
        """Whether the limit is passed, in shadow mode too."""
        return self.level is not None and not self.level.fits


class Answer(NamedTuple):
    """The answer to one request."""

    allowed: bool
    outcomes: Sequence[Outcome | None]
    """In the order of the descriptors; ``None`` where no limit applies."""


class RuleLimiter:
    """Decides requests.

    Args:
        rules: the current ones.
        clock: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], Domains],
        store: Store,
        local: LocalStore,
        refused: OverLimitCache,
        metrics: RuleMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._store = store
        self._local = local
        self._refused = refused
        self._metrics = metrics
        self._clock = clock

    async def decide(self, domain: str, asked: Sequence[Asked]) -> Answer:
        """Count every descriptor, and deny if one is over its limit. Never fails."""
        found = match(self._rules(), domain, asked)
        takes = [
            Take(ruled.key, ruled.limit.window, one.hits)
            for ruled, one in zip(found, asked, strict=True)
            if ruled is not None and not ruled.limit.unlimited
        ]
        levels = iter(await self._levels(takes))
        outcomes = [
            None if ruled is None else Outcome(ruled, None if ruled.limit.unlimited else next(levels))
            for ruled in found
        ]
        for outcome in outcomes:
            if outcome is not None:
                self._metrics.decided(domain, outcome.ruled, over=outcome.over)
        return Answer(allowed(outcomes), outcomes)

    async def _levels(self, takes: Sequence[Take]) -> Sequence[Level]:
        if len(takes) == 1:  # without a task of its own, which costs more than the rest
            return [await self._level(takes[0])]
        return await asyncio.gather(*map(self._level, takes))

    async def _level(self, take: Take) -> Level:
        now = self._clock()
        known = self._refused.levels([take], now)
        if known is not None:
            return known[0]
        if self._store.available:
            try:
                levels = await self._store.take([take])
            except StoreError:  # counted where it happened
                pass
            else:
                self._refused.remember([take], levels, now)
                return levels[0]
        return self._local.take_now([take])[0]


def allowed(outcomes: Sequence[Outcome | None]) -> bool:
    """Whether no limit is over: those in shadow mode don't count, those in quota mode only if all are."""
    found = [outcome for outcome in outcomes if outcome is not None and outcome.level is not None]
    quotas = [outcome.over for outcome in found if outcome.ruled.limit.quota]
    if quotas and all(quotas):
        return False
    return not any(outcome.over and not (outcome.ruled.limit.shadow or outcome.ruled.limit.quota) for outcome in found)
