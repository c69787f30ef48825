"""One exchange for each refresh token, however many requests arrive with it; late ones get what it gave."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog
from cachetools import TTLCache

from ext_authz.issuer_client import IssuerEndpoint, IssuerError
from ext_authz.token_endpoint import ExchangeTokens, RefreshRefusedError, Renewed

KEPT_SECONDS: Final = 30.0
"""How long requests that were sent before the browser had the new cookies still get them: an issuer that sees a
refresh token twice takes it for stolen."""
MOST_KEPT: Final = 10_000
MOST_AT_ONCE: Final = 256
"""Exchanges at a time; more are refused at once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """The issuer does not take the refresh token any more."""


@dataclass(frozen=True, slots=True)
class Away:
    """Nobody knows: the issuer could not be asked in time."""


Outcome: TypeAlias = Renewed | Refused | Away


class Exchanges:
    """Asks ``endpoints``, and counts the outcomes by provider."""

    def __init__(
        self, *, endpoints: ExchangeTokens, clock: Callable[[], float], count: Callable[[str, str], None]
    ) -> None:
        self._endpoints = endpoints
        self._count = count
        self._kept: TTLCache[bytes, Renewed | Refused] = TTLCache(MOST_KEPT, KEPT_SECONDS, timer=clock)
        self._running: dict[bytes, asyncio.Task[Outcome]] = {}

    async def exchange(self, provider: str, endpoint: IssuerEndpoint, refresh_token: str, patience: float) -> Outcome:
        """What the issuer gives for it, or gave a moment ago; waits up to ``patience`` seconds.

        An exchange that takes longer goes on: its outcome is for who asks next.
        """
        digest = hashlib.sha256(f"{provider}\0{endpoint.uri}\0{refresh_token}".encode()).digest()
        known = self._kept.get(digest)
        if known is not None:
            return known
        task = self._running.get(digest)
        if task is None:
            if len(self._running) >= MOST_AT_ONCE:
                return Away()
            task = asyncio.create_task(self._ask(provider, endpoint, refresh_token, digest), name="token exchange")
            self._running[digest] = task
        done, _ = await asyncio.wait({task}, timeout=patience)
        return task.result() if done else Away()

    async def aclose(self) -> None:
        """End what runs."""
        tasks = set(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, provider: str, endpoint: IssuerEndpoint, refresh_token: str, digest: bytes) -> Outcome:
        try:
            outcome = await self._outcome(provider, endpoint, refresh_token)
        finally:
            del self._running[digest]
        if not isinstance(outcome, Away):
            self._kept[digest] = outcome
        return outcome

    async def _outcome(self, provider: str, endpoint: IssuerEndpoint, refresh_token: str) -> Outcome:
        try:
            renewed = await self._endpoints.exchange(endpoint, refresh_token)
        except RefreshRefusedError:
            self._count(provider, "refused")
            return Refused()
        except IssuerError as error:
            self._count(provider, "failure")
            _log.warning("a token could not be refreshed", provider=provider, reason=str(error))
            return Away()
        self._count(provider, "success")
        return renewed
