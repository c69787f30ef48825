"""What nodes say of the requests that they sent to their upstreams: bounded windows, newest last. Pure."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

REMEMBERED_REPORTS: Final = 1024
"""Per node. At one report a second that is a quarter of an hour."""

REMEMBERED_NODES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that have ended. An upstream that is tried twice for one request counts twice."""

    succeeded: int = 0
    failed: int = 0
    """Answered with a 5xx, or cut off."""

    def __add__(self, other: Load) -> Load:
        return Load(self.succeeded + other.succeeded, self.failed + other.failed)

    @property
    def total(self) -> int:
        """All of them."""
        return self.succeeded + self.failed

    @property
    def error_rate(self) -> float:
        """The part that failed, from 0 to 1; 0 when there was none."""
        return self.failed / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What one node says of one stretch of time, which has just ended."""

    seconds: float
    load: Load


class LoadBook:
    """Reports of the nodes, and whether reports are wanted at all: they cost each node a message per interval.

    Args:
        interval: seconds between two reports, when somebody watches.
        clock: seconds; never goes back.
    """

    def __init__(self, *, interval: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_interval = interval
        self._clock = clock
        self._reports: OrderedDict[str, deque[tuple[float, Load]]] = OrderedDict()
        self._asked = asyncio.Event()
        self.interval: float | None = None
        """Seconds between two reports; ``None`` when nobody watches."""

    def watch(self, seconds: float) -> float:
        """Have every node begin to report now, often enough for a watch of ``seconds``; the time now."""
        self._ask(max(_SHORTEST_INTERVAL, min(self._longest_interval, seconds / _REPORTS_PER_WATCH)))
        return self._clock()

    def ignore(self) -> None:
        """Nobody watches any more; what was reported is forgotten."""
        self._ask(None)
        self._reports.clear()

    @property
    def next_wish(self) -> asyncio.Event:
        """Set when :attr:`interval` changes, or the reports are to begin anew."""
        return self._asked

    def note(self, node: str, reports: Iterable[Report]) -> None:
        """Remember what ``node`` has just said."""
        if self.interval is None:
            return
        now = self._clock()
        book = self._reports.setdefault(node, deque(maxlen=REMEMBERED_REPORTS))
        self._reports.move_to_end(node)
        book.extend((now - report.seconds, report.load) for report in reports if report.load.total)
        if len(self._reports) > REMEMBERED_NODES:
            self._reports.popitem(last=False)

    def since(self, moment: float, nodes: Iterable[str]) -> Load:
        """What ``nodes`` reported of stretches of time that began after ``moment``."""
        found = Load()
        for node in nodes:
            for began, load in self._reports.get(node, ()):
                if began >= moment:
                    found += load
        return found

    def _ask(self, interval: float | None) -> None:
        self.interval = interval
        self._asked.set()
        self._asked = asyncio.Event()


_SHORTEST_INTERVAL = 0.2
_REPORTS_PER_WATCH = 5
