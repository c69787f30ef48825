"""One request's way to its decision: memory of refusals, shared store, and this process when the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ratelimit_service.decision import Decision, Source, Verdict, decide
from ratelimit_service.local_store import LocalStore
from ratelimit_service.matching import Descriptor, Matched, is_over, match
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import CompiledLimit, PolicyBook
from ratelimit_service.store import Store, StoreError
from ratelimit_service.top_callers import TopCallers
from ratelimit_service.waiting_room import WaitingRoom
from servicekit.buckets.bucket import MICROSECONDS
from servicekit.buckets.takes import Level, Take

DENIED_FOR_US = MICROSECONDS
"""What a limit with ``on_store_failure: deny`` tells the caller to wait, since nobody knows when the store returns."""


class Limiter:
    """Decides requests.

    Args:
        clock: seconds on a clock that never goes back.
        room: where requests wait for their tokens.
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
        room: WaitingRoom,
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
        self._room = room

    async def decide(self, domain: str, descriptors: Sequence[Descriptor]) -> Decision:
        """Take the tokens that the descriptors ask for: all of them or none. Never fails."""
        matched = match(self._policy.find, self._overrides, domain, descriptors)
        self._metrics.unknown(matched.places.count(None))
        decision = await (self._waited(matched) if matched.priorities else self._decided(matched))
        if not is_over(matched):
            self._metrics.decided(decision)
        if self._top is not None:
            for caller, verdict in zip(matched.callers, decision.verdicts, strict=True):
                if verdict is not None and caller is not None:
                    self._top.count(verdict.limit.name, caller, not verdict.level.fits)
        return decision

    async def _waited(self, matched: Matched) -> Decision:
        """The decision of a request that waits for its tokens, if it has to."""
        first = next(place for place, limit in enumerate(matched.limits) if limit.when_exceeded == "queue")
        limit = matched.limits[first]
        decisions: list[Decision] = []

        async def attempt() -> float | None:
            decision = await self._decided(matched)
            decisions.append(decision)
            tightest = decision.tightest
            if decision.allowed or tightest is None or decision.source == "override":
                return None
            return tightest.level.reset_us / MICROSECONDS

        left = await self._room.enter(
            matched.takes[first].key,
            attempt,
            priority=max(matched.priorities),
            max_wait=limit.max_wait,
            most=limit.max_waiting,
            pace=limit.pace,
        )
        if left is None:
            return decisions[-1]
        level = Level(False, 0, max(1, round(left * MICROSECONDS)))
        verdicts = [Verdict(limit, level) for limit in matched.limits]
        return decide([_verdict(place, verdicts) for place in matched.places], "queue")

    async def _decided(self, matched: Matched) -> Decision:
        ruled = [place for place in matched.places if isinstance(place, Verdict)]
        if ruled and (not matched.takes or any(map(_denies, ruled))):
            # Nobody is asked: a denied request takes nothing of its other limits, which therefore say nothing.
            return decide([place if isinstance(place, Verdict) else None for place in matched.places], "override")
        levels, source = await self._asked(matched) if matched.takes else ((), None)
        verdicts = [Verdict(limit, level) for limit, level in zip(matched.limits, levels, strict=True)]
        return decide([_verdict(place, verdicts) for place in matched.places], source)

    async def _asked(self, matched: Matched) -> tuple[Sequence[Level], Source | None]:
        takes, limits = matched.takes, matched.limits
        if all(limit.refuses for limit in limits):
            return await self._levels(takes, limits)
        # Each that refuses nobody by itself: full, it holds up no other. They reach the store in one call all the same.
        real = [place for place, limit in enumerate(limits) if limit.refuses]
        groups = [real] if real else []
        groups += [[place] for place, limit in enumerate(limits) if not limit.refuses]
        answers = await asyncio.gather(
            *(self._levels([takes[one] for one in group], [limits[one] for one in group]) for group in groups)
        )
        levels = dict[int, Level]()
        for group, (found, _) in zip(groups, answers, strict=True):
            levels.update(zip(group, found, strict=True))
        return [levels[place] for place in range(len(takes))], answers[0][1]

    async def _levels(self, takes: Sequence[Take], limits: Sequence[CompiledLimit]) -> tuple[Sequence[Level], Source]:
        now = self._clock()
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
        return self._without_store(takes, limits), "fallback"

    def _without_store(self, takes: Sequence[Take], limits: Sequence[CompiledLimit]) -> list[Level]:
        denied = any(limit.on_store_failure == "deny" for limit in limits)
        local = [
            Take(take.key, limit.local_shape, min(take.hits, 0) if denied else take.hits)
            for take, limit in zip(takes, limits, strict=True)
            if limit.on_store_failure == "local"
        ]
        counted = iter(self._local.take_now(local))
        return [next(counted) if limit.on_store_failure == "local" else _fixed(limit) for limit in limits]


def _denies(verdict: Verdict) -> bool:
    return not verdict.level.fits and verdict.limit.refuses


def _verdict(place: int | Verdict | None, verdicts: Sequence[Verdict]) -> Verdict | None:
    return verdicts[place] if isinstance(place, int) else place


def _fixed(limit: CompiledLimit) -> Level:
    if limit.on_store_failure == "deny":
        return Level(False, 0, DENIED_FOR_US)
    return Level(True, limit.shape.burst, 0)
