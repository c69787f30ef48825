"""What callers have taken, in this process' memory: what decides while the shared store is away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ratelimit_service.meters import Meter, unused
from servicekit.buckets.takes import Level, Take
from servicekit.buckets.window import takes_refused


class LocalStore:
    """The same buckets and windows as in Redis, for this process alone.

    Holds at most ``max_keys``; beyond that, the one that was longest not taken from is forgotten, which means unused.

    Args:
        clock_us: microseconds since 1970, on a clock that never goes back.
    """

    available = True

    def __init__(self, *, clock_us: Callable[[], int], max_keys: int = 65_536) -> None:
        self._clock_us = clock_us
        self._max_keys = max_keys
        self._meters: dict[bytes, Meter] = {}

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """The port's form of :meth:`take_now`."""
        return self.take_now(takes)

    def take_now(self, takes: Sequence[Take]) -> list[Level]:
        """Take all tokens of one request, or none of them. Never fails."""
        now = self._clock_us()
        meters = [self._meter(take, now) for take in takes]
        fit = [take.hits < 0 or meter.fits(take.hits) for meter, take in zip(meters, takes, strict=True)]
        granted = all(fit)
        meters = [
            self._taken(take, meter) if granted or take.hits < 0 or takes_refused(take.shape) else meter
            for meter, take in zip(meters, takes, strict=True)
        ]
        return [
            Level(does_fit, meter.remaining(), meter.reset_us() if does_fit else meter.wait_us(take.hits))
            for does_fit, meter, take in zip(fit, meters, takes, strict=True)
        ]

    def forget(self, keys: Iterable[bytes]) -> None:
        """Let these be unused."""
        for key in keys:
            self._meters.pop(key, None)

    def clear(self) -> None:
        """Forget what was taken."""
        self._meters.clear()

    def __len__(self) -> int:
        return len(self._meters)

    def _meter(self, take: Take, now: int) -> Meter:
        known = self._meters.get(take.key)
        return unused(now, take.shape) if known is None else known.at(now, take.shape)

    def _taken(self, take: Take, meter: Meter) -> Meter:
        if take.hits == 0:
            return meter
        meter = meter.taken(take.hits) if take.hits > 0 else meter.charged(-take.hits)
        # taken out and put back, so that the order is that of the last take
        self._meters.pop(take.key, None)
        self._meters[take.key] = meter
        if len(self._meters) > self._max_keys:
            del self._meters[next(iter(self._meters))]
        return meter
