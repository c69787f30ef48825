"""Waits for rules that are on their way: proxies may come back to a new control plane sooner than this service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ext_authz.rule_book import RuleBook

MAX_WAITING: Final = 1024
"""Checks that wait for a rule at a time; more are refused at once."""


class RuleArrivals:
    """Who waits for rules of ``rules``; ``clock`` never goes back."""

    def __init__(self, *, rules: RuleBook, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self.waiting = 0
        """Checks that wait now."""

    async def comes(self, rule_id: str, deadline: float) -> bool:
        """Whether the rule is there by ``deadline`` (of the clock); returns as soon as it is."""
        if self.waiting >= MAX_WAITING:
            return False
        self.waiting += 1
        try:
            while True:
                changed = self._rules.next_change
                if self._rules.get(rule_id, self._clock()) is not None:
                    return True
                left = deadline - self._clock()
                if left <= 0:
                    return False
                waiter = asyncio.ensure_future(changed.wait())
                await asyncio.wait([waiter], timeout=left)
                waiter.cancel()
        finally:
            self.waiting -= 1
