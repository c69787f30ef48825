"""One request's way to its decision: memory of refusals, shared store, and this process when the store is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratelimit_service.decision import Decision, Source, Verdict, decide
from ratelimit_service.local_store import LocalStore
from ratelimit_service.matching import Descriptor, Matched, match
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import CompiledLimit, PolicyBook
from ratelimit_service.store import Store, StoreError
from ratelimit_service.top_callers import TopCallers
from servicekit.buckets.bucket import MICROSECONDS
from servicekit.buckets.takes import Level, Take

DENIED_FOR_US = MICROSECONDS
"""What a limit with ``on_store_failure: deny`` tells the caller to wait, since nobody knows when the store returns."""


class Limiter:
    """Decides requests.

    Args:
        clock: seconds on a clock that never goes back.
        top: counts who asks most, if anybody wants to know.
    """

    def __init__(
        self,
        *,
        policy: PolicyBook,
        overrides: OverrideBook,
        store: Store,
        local: LocalStore,
        refused: OverLimitCache,
        metrics: Metrics,
        clock: Callable[[], float],
        top: TopCallers | None = None,
    ) -> None:
        self._policy = policy
        self._overrides = overrides
        self._store = store
        self._local = local
        self._refused = refused
        self._metrics = metrics
        self._clock = clock
        self._top = top

    async def decide(self, domain: str, descriptors: Sequence[Descriptor]) -> Decision:
        """Take the tokens that the descriptors ask for: all of them or none. Never fails."""
        matched = match(self._policy.find, self._overrides, domain, descriptors)
        self._metrics.unknown(matched.places.count(None))
        ruled = [place for place in matched.places if isinstance(place, Verdict)]
        if ruled and (not matched.takes or not all(verdict.level.fits for verdict in ruled)):
            # Nobody is asked: a denied request takes nothing of its other limits, which therefore say nothing.
            decision = decide([place if isinstance(place, Verdict) else None for place in matched.places], "override")
        else:
            levels, source = await self._levels(matched) if matched.takes else ((), None)
            verdicts = [Verdict(limit, level) for limit, level in zip(matched.limits, levels, strict=True)]
            decision = decide([_verdict(place, verdicts) for place in matched.places], source)
        self._metrics.decided(decision)
        if self._top is not None:
            for descriptor, verdict in zip(descriptors, decision.verdicts, strict=True):
                if verdict is not None:
                    self._top.count(descriptor.entries, not verdict.level.fits)
        return decision

    async def _levels(self, matched: Matched) -> tuple[Sequence[Level], Source]:
        takes, now = matched.takes, self._clock()
        known = self._refused.levels(takes, now)
        if known is not None:
            return known, "cache"
        if self._store.available:
            try:
                levels = await self._store.take(takes)
            except StoreError:  # counted where it happened
                pass
            else:
                self._refused.remember(takes, levels, now)
                return levels, "store"
        return self._without_store(matched), "fallback"

    def _without_store(self, matched: Matched) -> list[Level]:
        denied = any(limit.on_store_failure == "deny" for limit in matched.limits)
        local = [
            Take(take.key, limit.local_shape, 0 if denied else take.hits)
            for take, limit in zip(matched.takes, matched.limits, strict=True)
            if limit.on_store_failure == "local"
        ]
        counted = iter(self._local.take_now(local))
        return [next(counted) if limit.on_store_failure == "local" else _fixed(limit) for limit in matched.limits]


def _verdict(place: int | Verdict | None, verdicts: Sequence[Verdict]) -> Verdict | None:
    return verdicts[place] if isinstance(place, int) else place


def _fixed(limit: CompiledLimit) -> Level:
    if limit.on_store_failure == "deny":
        return Level(False, 0, DENIED_FOR_US)
    return Level(True, limit.shape.burst, 0)
