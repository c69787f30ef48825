"""How often a refusal is worth a line in the log: a client that is refused comes back every few seconds, for ever."""

from __future__ import annotations

WINDOW_SECONDS = 3600.0
MOST = 100
"""Clients of which a window's lines speak."""


class Refusals:
    """Remembers who was refused lately. Pure; ``now`` is seconds of the caller's clock."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._until = 0.0

    def is_news(self, who: str, now: float) -> bool:
        """Whether to log that ``who`` was refused: once an hour, and for no more than a hundred in it."""
        if now >= self._until:
            self._seen.clear()
            self._until = now + WINDOW_SECONDS
        if who in self._seen or len(self._seen) >= MOST:
            return False
        self._seen.add(who)
        return True

    def is_over(self, who: str) -> None:
        """``who`` was taken: being refused would be news again."""
        self._seen.discard(who)
