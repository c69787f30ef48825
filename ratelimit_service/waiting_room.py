"""Requests that wait for their token: in line before each bucket, the most urgent first, in bounded numbers.

Nothing here knows what a token is: whoever waits says how to try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal

Outcome = Literal["served", "expired", "shed", "gone"]
"""What became of one who waited; ``gone`` is a client that gave up."""
Attempt = Callable[[], Awaitable[float | None]]
"""Tries; ``None`` if that went well, else the seconds after which it may."""

MOST_WAITING: Final = 2_000
"""In all lines together: well below what an Envoy may ask a service at a time, so that others get their answers."""
_SHORTEST: Final = 0.001
"""Seconds between two tries."""


@dataclass(eq=False, slots=True)
class _Waiter:
    urgency: tuple[int, int]
    """The less the sooner."""
    attempt: Attempt
    done: asyncio.Future[Outcome]
    is_trying: bool = False
    is_late: bool = False
    """Whether this try is the last."""


@dataclass(eq=False, slots=True)
class _Line:
    waiters: list[_Waiter] = field(default_factory=list)
    opens_at: float = 0.0
    """When the next try makes sense, on the loop's clock."""
    task: asyncio.Task[None] | None = None


class WaitingRoom:
    """The lines of this process.

    Args:
        told: called with the outcome of each who waited, or would have.
        most: who may wait, in all lines together.
    """

    def __init__(self, *, told: Callable[[Outcome], None], most: int = MOST_WAITING) -> None:
        self._told = told
        self._most = most
        self._lines: dict[bytes, _Line] = {}
        self._numbers = count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    async def enter(
        self, key: bytes, attempt: Attempt, *, priority: int, max_wait: float, most: int, pace: float
    ) -> float | None:
        """Try, and wait for another try if need be. Nobody overtakes those who are as urgent and came before.

        Args:
            key: of the bucket; who names the same stands in one line.
            attempt: how to try. May not fail.
            priority: the more the sooner.
            max_wait: seconds.
            most: who may stand in this line. Of more the least urgent goes, and among those who came last.
            pace: seconds for each of those who stand before; 0 if nobody knows.

        Returns:
            ``None`` if a try went well, else the seconds after which another one may.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(key)
        if line is None:
            wait = await attempt()
            if wait is None:
                return None
            line = self._lines.get(key)  # somebody may have begun one meanwhile
        else:
            wait = max(0.0, line.opens_at - loop.time())
        waiters = line.waiters if line is not None else []
        ahead = sum(one.urgency[0] <= -priority for one in waiters)
        expected = wait + ahead * pace
        if expected > max_wait or not self._has_room(waiters, -priority, most):
            self._told("shed")
            return max(expected, _SHORTEST)
        waiter = _Waiter((-priority, next(self._numbers)), attempt, loop.create_future())
        if line is None:
            line = self._lines[key] = _Line(opens_at=loop.time() + wait)
            line.task = loop.create_task(self._serve(key, line))
        line.waiters.append(waiter)
        self._waiting += 1
        outcome = await self._outcome(waiter, line, max_wait)
        return None if outcome == "served" else max(_SHORTEST, line.opens_at - loop.time())

    def _has_room(self, waiters: list[_Waiter], urgency: int, most: int) -> bool:
        """Whether one more may stand there, if need be instead of one who is less urgent."""
        if len(waiters) < most:
            return self._waiting < self._most
        last = max((one for one in waiters if not one.is_trying), key=lambda one: one.urgency, default=None)
        if last is None or last.urgency[0] <= urgency:
            return False
        if not last.done.done():
            last.done.set_result("shed")
        waiters.remove(last)
        return True

    async def _outcome(self, waiter: _Waiter, line: _Line, max_wait: float) -> Outcome:
        outcome: Outcome = "gone"
        try:
            await asyncio.wait((waiter.done,), timeout=max_wait)
            if waiter.is_trying:  # for which the store has a deadline of its own
                waiter.is_late = True
                await asyncio.wait((waiter.done,))
            outcome = waiter.done.result() if waiter.done.done() else "expired"
        finally:
            self._waiting -= 1
            if not waiter.done.done():
                waiter.done.cancel()
            if waiter in line.waiters:
                line.waiters.remove(waiter)
            self._told(outcome)
        return outcome

    async def _serve(self, key: bytes, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(line.opens_at - loop.time())
                first = min(line.waiters, key=lambda one: one.urgency, default=None)
                if first is None:
                    return
                first.is_trying = True
                wait = await first.attempt()
                first.is_trying = False
                if wait is not None:
                    line.opens_at = loop.time() + max(wait, _SHORTEST)
                    if first.is_late and not first.done.done():
                        first.done.set_result("expired")
                    continue
                if first in line.waiters:
                    line.waiters.remove(first)
                if not first.done.done():
                    first.done.set_result("served")
        finally:
            del self._lines[key]
            for one in line.waiters:
                if not one.done.done():
                    one.done.set_result("shed")
