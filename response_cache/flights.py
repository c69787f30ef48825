"""Requests that wait for the answer to another one like them: of many that miss at once, one goes to the upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeAlias

from response_cache.requests import Key
from response_cache.store import Variant

FlightKey: TypeAlias = tuple[Key, Variant | None]

_REMEMBERED: Final = 10.0
"""Seconds for which nobody waits for answers of a key that could not be kept: they would wait one after another."""
_MOST_REMEMBERED: Final = 10_000


class Landing(Enum):
    """How a flight ended."""

    KEPT = "kept"
    """Those who waited find the answer in the store."""
    STALE = "stale"
    """The upstream failed, and an answer in the store stands in for those who waited, too."""
    ALONE = "alone"
    """Its answer was for nobody else: each goes to the upstream, and so do those who come next."""
    FAILED = "failed"
    """The upstream failed: each tries it for itself."""
    LOST = "lost"
    """Its client went away: another one goes in its place."""


class Flight:
    """One request that is under way to the upstream."""

    def __init__(self) -> None:
        self.failed_with = 0
        """What the upstream answered where a kept answer stands in."""
        self.waiting = 0
        """Requests that wait for it."""
        self._landed: asyncio.Future[Landing] = asyncio.get_running_loop().create_future()
        self.grounded = False
        """Whether its answer is not to be kept: it may be older than a purge."""

    @property
    def is_over(self) -> bool:
        """Whether it has landed."""
        return self._landed.done()

    async def landing(self, patience: float) -> Landing | None:
        """How it ends; ``None`` if it takes longer than ``patience`` seconds."""
        self.waiting += 1
        try:
            done, _ = await asyncio.wait([self._landed], timeout=patience)
        finally:
            self.waiting -= 1
        return self._landed.result() if done else None

    def land(self, how: Landing) -> None:
        """Tell those who wait."""
        self._landed.set_result(how)


class Flights:
    """All that are under way. ``clock`` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._under_way: set[tuple[FlightKey, Flight]] = set()
        self._waited_for: dict[FlightKey, Flight] = {}
        self._alone: dict[FlightKey, float] = {}

    @property
    def waiting(self) -> int:
        """Requests that wait for the answer to another one."""
        return sum(flight.waiting for _, flight in self._under_way)

    def to_wait_for(self, key: FlightKey) -> Flight | None:
        """The flight to wait for, if there is one."""
        return self._waited_for.get(key)

    def begin(self, key: FlightKey) -> Flight:
        """A flight. Others wait for it, unless for another one already, or the last answer was for one only."""
        flight = Flight()
        self._under_way.add((key, flight))
        if not self._goes_alone(key):
            self._waited_for.setdefault(key, flight)
        return flight

    def end(self, key: FlightKey, flight: Flight, how: Landing) -> None:
        """``flight`` has landed. Says nothing when it already has."""
        if flight.is_over:
            return
        self._under_way.discard((key, flight))
        if self._waited_for.get(key) is flight:
            del self._waited_for[key]
        if how is Landing.ALONE:
            self._remember(key)
        elif how is Landing.KEPT:
            self._alone.pop(key, None)
        flight.land(how)

    def ground(self, gone: Callable[[Key], bool]) -> None:
        """Nobody begins to wait for, and nobody keeps, answers to flights of which ``gone`` says so."""
        for key, flight in tuple(self._under_way):
            if gone(key[0]):
                flight.grounded = True
                if self._waited_for.get(key) is flight:
                    del self._waited_for[key]

    def _goes_alone(self, key: FlightKey) -> bool:
        until = self._alone.get(key)
        if until is None or until > self._clock():
            return until is not None
        del self._alone[key]
        return False

    def _remember(self, key: FlightKey) -> None:
        if len(self._alone) >= _MOST_REMEMBERED:
            self._alone.pop(next(iter(self._alone)))
        self._alone[key] = self._clock() + _REMEMBERED
