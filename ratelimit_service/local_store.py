"""Buckets in this process' memory: what decides while the shared store is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ratelimit_service.bucket import Shape, fits, refilled, remaining, reshaped, time_to_fit, time_to_full
from ratelimit_service.decision import Level, Take


class _Bucket(NamedTuple):
    missing: int
    at_us: int
    shape: Shape


class LocalStore:
    """The same buckets as in Redis, for this process alone.

    Holds at most ``max_keys``; beyond that, the bucket that was longest not taken from is forgotten, which means full.

    Args:
        clock_us: microseconds on a clock that never goes back.
    """

    available = True

    def __init__(self, *, clock_us: Callable[[], int], max_keys: int = 65_536) -> None:
        self._clock_us = clock_us
        self._max_keys = max_keys
        self._buckets: dict[bytes, _Bucket] = {}

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """The port's form of :meth:`take_now`."""
        return self.take_now(takes)

    def take_now(self, takes: Sequence[Take]) -> list[Level]:
        """Take all tokens of one request, or none of them. Never fails."""
        now = self._clock_us()
        missing = [self._missing(take, now) for take in takes]
        fit = [fits(lacks, take.hits, take.shape) for lacks, take in zip(missing, takes, strict=True)]
        if all(fit):
            missing = [self._taken(take, lacks, now) for lacks, take in zip(missing, takes, strict=True)]
        return [
            Level(
                does_fit,
                remaining(lacks, take.shape),
                time_to_full(lacks, take.shape) if does_fit else time_to_fit(lacks, take.hits, take.shape),
            )
            for does_fit, lacks, take in zip(fit, missing, takes, strict=True)
        ]

    def clear(self) -> None:
        """Forget every bucket."""
        self._buckets.clear()

    def __len__(self) -> int:
        return len(self._buckets)

    def _missing(self, take: Take, now: int) -> int:
        bucket = self._buckets.get(take.key)
        if bucket is None:
            return 0
        lacks = refilled(bucket.missing, elapsed_us=now - bucket.at_us, rate=bucket.shape.rate)
        return lacks if bucket.shape == take.shape else reshaped(lacks, old=bucket.shape, new=take.shape)

    def _taken(self, take: Take, lacks: int, now: int) -> int:
        if take.hits == 0:
            return lacks
        lacks += take.hits * take.shape.unit
        # taken out and put back, so that the order is that of the last take
        self._buckets.pop(take.key, None)
        self._buckets[take.key] = _Bucket(lacks, now, take.shape)
        if len(self._buckets) > self._max_keys:
            del self._buckets[next(iter(self._buckets))]
        return lacks
