"""What happens in this control plane, for whoever listens: one bounded memory, and no queue per listener."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

REMEMBERED = 1000
"""Events that a listener may be behind before it misses some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    id: str
    """``<run>-<number>``: the run is of this process, numbers have no gaps, so that a listener sees what it missed."""
    kind: str
    at: datetime
    data: Mapping[str, Any]
    """Plain data, as JSON has it. Never a secret."""


class Events:
    """The memory of one process. Publishing costs an append and wakes the listeners.

    Args:
        bound: how many events are remembered.
        clock: the time of day.
    """

    def __init__(self, *, bound: int = REMEMBERED, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._run = secrets.token_hex(4)
        self._clock = clock
        self._events: deque[tuple[int, Event]] = deque(maxlen=bound)
        self._newest = 0
        self._happened = asyncio.Event()

    def publish(self, kind: str, **data: Any) -> None:
        """Remember that something happened, now."""
        self._newest += 1
        event = Event(id=f"{self._run}-{self._newest}", kind=kind, at=self._clock(), data=data)
        self._events.append((self._newest, event))
        self._happened.set()
        self._happened = asyncio.Event()

    def after(self, event_id: str | None) -> tuple[Event, ...]:
        """What is remembered that happened after ``event_id``.

        ``None`` gives nothing: only what is to come is of interest. An id of another run gives all there is.
        """
        place = self._place(event_id)
        return tuple(event for number, event in self._events if number > place)

    def subscribe(self, event_id: str | None = None) -> AsyncGenerator[Event, None]:
        """What happens after ``event_id``, or after this call, for ever, as far as it is remembered."""
        return self._from(self._place(event_id))

    async def _from(self, place: int) -> AsyncGenerator[Event, None]:
        while True:
            happened = self._happened
            for number, event in tuple(self._events):
                if number > place:
                    place = number
                    yield event
            if place == self._newest:
                await happened.wait()

    def _place(self, event_id: str | None) -> int:
        if event_id is None:
            return self._newest
        run, _, number = event_id.rpartition("-")
        # A number that int() takes has few digits: others were not given out here.
        return int(number) if run == self._run and number.isascii() and number.isdigit() and len(number) < 19 else 0
