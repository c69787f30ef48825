"""Which Envoys have a share of which limit, and how large it is. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ratelimit_service.policy import CompiledLimit
from ratelimit_service.quota.shares import Bucket, bucket, shares
from servicekit.contracts.limit_policy import Quota

KEPT_SECONDS: Final = 10.0
"""An Envoy whose stream ended counts for so long: it goes on with its share, and is mostly back by then."""
LEASE_SECONDS: Final = 3600
"""An Envoy that is cut off goes on with its share for so long, and lets all pass then."""
RENEWED_SECONDS: Final = 600.0
"""Between two words to an Envoy for which nothing changes."""
MOST_BUCKETS: Final = 1_000
"""Of one stream."""
_MATTERS: Final = 0.1
"""A share that would grow by less than this part of itself is left as it is. One that shrinks never is."""


class Claim(NamedTuple):
    """What one Envoy wants of one bucket."""

    key: Quota
    stream: str
    demand: float
    """Requests a second; less than 0 where nobody knows yet."""


@dataclass(slots=True)
class _Held:
    demand: float = -1.0
    parts: int = 0
    """That were told; 0 before the first."""
    told: Bucket | None = None
    told_at: float = 0.0
    ends_at: float | None = None
    """When the stream is over, and its share is given to others then."""


@dataclass(slots=True)
class _Pool:
    here: dict[str, _Held] = field(default_factory=dict)
    elsewhere: Mapping[str, float] = field(default_factory=dict)


class QuotaBook:
    """Every share that this process has given, and the claims that others know of.

    Args:
        find: a limit by its name and ``by``.
        clock: seconds on a clock that never goes back.
    """

    def __init__(self, *, find: Callable[[str, str], CompiledLimit | None], clock: Callable[[], float]) -> None:
        self._find = find
        self._clock = clock
        self._pools: dict[Quota, _Pool] = {}
        self._per_stream: dict[str, set[Quota]] = {}

    def __len__(self) -> int:
        return sum(len(pool.here) for pool in self._pools.values())

    def report(self, stream: str, key: Quota, *, requests: int, seconds: float) -> None:
        """An Envoy has told what came since its last report; the first one says only that there is something."""
        keys = self._per_stream.setdefault(stream, set())
        if key not in keys and (len(keys) >= MOST_BUCKETS or self._limit(key) is None):
            return
        keys.add(key)
        held = self._pools.setdefault(key, _Pool()).here.setdefault(stream, _Held())
        if seconds > 0:
            held.demand = requests / seconds

    def leave(self, stream: str) -> None:
        """A stream is over."""
        for key in self._per_stream.pop(stream, ()):
            self._pools[key].here[stream].ends_at = self._clock() + KEPT_SECONDS

    def hear(self, claims: Mapping[Quota, Mapping[str, float]]) -> None:
        """Learn what Envoys want that are connected elsewhere: demands by stream."""
        for key, pool in self._pools.items():
            pool.elsewhere = {name: one for name, one in claims.get(key, {}).items() if name not in pool.here}

    def claims(self) -> Iterator[Claim]:
        """What the Envoys want that are connected here, or were a moment ago."""
        for key, pool in self._pools.items():
            for stream, held in pool.here.items():
                yield Claim(key, stream, held.demand)

    def news(self) -> Iterator[tuple[str, Quota, Bucket | None]]:
        """What streams have to be told: a bucket that changed, or ``None`` of a limit that is no more.

        Those that get less come first, so that what they had is free before others have it.
        """
        now = self._clock()
        self._forget(now)
        changes = []
        for key, pool in list(self._pools.items()):
            limit = self._limit(key)
            if limit is None:
                yield from ((stream, key, None) for stream, held in pool.here.items() if held.ends_at is None)
                self._drop(key)
                continue
            demands = {**pool.elsewhere, **{stream: held.demand for stream, held in pool.here.items()}}
            for stream, parts in shares(demands).items():
                held = pool.here.get(stream)
                if held is not None and held.ends_at is None:
                    changes.append((parts - held.parts, stream, key, held, parts, limit))
        changes.sort(key=lambda change: change[0])
        for _, stream, key, held, parts, limit in changes:
            wanted = bucket(parts, requests=limit.requests, period_ms=limit.period_ms, burst=limit.shape.burst)
            before = bucket(held.parts, requests=limit.requests, period_ms=limit.period_ms, burst=limit.shape.burst)
            is_little = held.told == before and 0 <= parts - held.parts <= held.parts * _MATTERS
            if is_little and now < held.told_at + RENEWED_SECONDS:
                continue
            held.parts, held.told, held.told_at = parts, wanted, now
            yield stream, key, wanted

    def _limit(self, key: Quota) -> CompiledLimit | None:
        limit = self._find(key.limit, key.by)
        return limit if limit is not None and limit.is_quota else None

    def _forget(self, now: float) -> None:
        for key, pool in list(self._pools.items()):
            for stream, held in list(pool.here.items()):
                if held.ends_at is not None and held.ends_at <= now:
                    del pool.here[stream]
            if not pool.here:
                del self._pools[key]

    def _drop(self, key: Quota) -> None:
        del self._pools[key]
        for keys in self._per_stream.values():
            keys.discard(key)
