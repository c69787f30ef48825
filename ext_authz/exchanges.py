"""One exchange for each refresh token, however many requests arrive with it; late ones get what it gave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from cachetools import TTLCache

from ext_authz.issuer_client import IssuerEndpoint, IssuerError
from ext_authz.questions import Questions
from ext_authz.token_endpoint import ExchangeTokens, RefreshRefusedError, Renewed

KEPT_SECONDS: Final = 30.0
"""How long requests that were sent before the browser had the new cookies still get them: an issuer that sees a
refresh token twice takes it for stolen."""
MOST_KEPT: Final = 10_000


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
        self._questions: Questions[Renewed | Refused] = Questions("token refresh")

    async def exchange(self, provider: str, endpoint: IssuerEndpoint, refresh_token: str, patience: float) -> Outcome:
        """What the issuer gives for it, or gave a moment ago; waits up to ``patience`` seconds."""
        digest = hashlib.sha256(f"{provider}\0{endpoint.uri}\0{refresh_token}".encode()).digest()
        known = self._kept.get(digest)
        if known is not None:
            return known
        question = partial(self._ask, provider, endpoint, refresh_token, digest)
        return await self._questions.ask(provider, digest, question, patience=patience) or Away()

    async def aclose(self) -> None:
        """End what runs."""
        await self._questions.aclose()

    async def _ask(
        self, provider: str, endpoint: IssuerEndpoint, refresh_token: str, digest: bytes
    ) -> Renewed | Refused:
        outcome: Renewed | Refused
        try:
            outcome = await self._endpoints.exchange(endpoint, refresh_token)
        except RefreshRefusedError:
            outcome = Refused()
        except IssuerError:
            self._count(provider, "failure")
            raise
        self._count(provider, "refused" if isinstance(outcome, Refused) else "success")
        self._kept[digest] = outcome
        return outcome
