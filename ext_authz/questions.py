"""Questions to issuers: one at a time for each thing that is asked about, not too many for each issuer.

Who has no patience goes, and the question goes on: its answer is for who comes next.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import structlog

from ext_authz.issuer_client import IssuerError

T = TypeVar("T")

MOST_AT_ONCE: Final = 256
"""Questions of one provider at a time; more are refused at once. Those of others have a bound of their own, so that an
issuer that hangs is in nobody's way."""

_log = structlog.get_logger(__name__)


class Questions(Generic[T]):
    """Asks, and says in the log when an issuer goes away or comes back: once, and not for each question.

    ``what`` is what the log calls it.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._running: dict[bytes, asyncio.Task[T | None]] = {}
        self._count: Counter[str] = Counter()
        self._away: set[str] = set()

    async def ask(
        self, provider: str, digest: bytes, question: Callable[[], Awaitable[T]], *, patience: float
    ) -> T | None:
        """The answer to ``question``, or to the one that is under way for ``digest``.

        ``None`` when there is none: after ``patience`` seconds, when ``question`` raises :class:`IssuerError`, or
        because too many are asked.
        """
        task = self._running.get(digest)
        if task is None:
            if self._count[provider] >= MOST_AT_ONCE:
                return None
            task = asyncio.create_task(self._run(provider, digest, question), name=f"{self._what} of {provider}")
            self._running[digest] = task
            self._count[provider] += 1
        done, _ = await asyncio.wait({task}, timeout=patience)
        return task.result() if done else None

    async def aclose(self) -> None:
        """End what runs."""
        tasks = set(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, provider: str, digest: bytes, question: Callable[[], Awaitable[T]]) -> T | None:
        try:
            answer = await question()
        except IssuerError as error:
            if provider not in self._away:
                self._away.add(provider)
                _log.warning(f"{self._what} fails", provider=provider, reason=str(error))
            return None
        finally:
            del self._running[digest]
            self._count[provider] -= 1
        if provider in self._away:
            self._away.discard(provider)
            _log.info(f"{self._what} works again", provider=provider)
        return answer
