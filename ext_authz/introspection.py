"""Asks issuers about opaque tokens (RFC 7662): once for each token, however many requests come with it.

What an issuer said is kept for a bounded time. Tokens that are not active are kept apart and shortly, so that whoever
invents some pushes out none that is good.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from ext_authz.cache import BoundedCache
from ext_authz.issuer_client import IssuerClient, IssuerEndpoint, IssuerError
from ext_authz.jose import strict_object
from ext_authz.questions import Questions

INACTIVE_SECONDS: Final = 5.0
"""How long a token that was not active is not asked about again."""
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """How one provider's tokens are asked about."""

    provider: str
    endpoint: IssuerEndpoint
    ttl: float
    """Seconds that an answer counts, unless the token ends before."""


@dataclass(frozen=True, slots=True)
class Active:
    """A token that is good, as far as its issuer is concerned."""

    claims: Mapping[str, Any]
    until: float = math.inf
    """When its issuer has to be asked again, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Inactive:
    """A token that is not, or never was."""


Known: TypeAlias = Active | Inactive


class Introspections:
    """What issuers said of tokens.

    ``wall`` is the time in seconds since the epoch; ``count`` hears of each question and its outcome.
    """

    def __init__(
        self, *, client: IssuerClient, wall: Callable[[], float], count: Callable[[str, str], None], entries: int
    ) -> None:
        self._client = client
        self._wall = wall
        self._count = count
        self._active: BoundedCache[Active] = BoundedCache(entries)
        self._inactive: BoundedCache[Inactive] = BoundedCache(max(1, entries // 10))
        self._questions: Questions[Known] = Questions("token introspection")

    def known(self, asked: Introspection, token: str) -> Known | None:
        """What is known of a token now; ``None`` when its issuer has to be asked."""
        digest, now = _digest(asked, token), self._wall()
        return self._active.get(digest, now) or self._inactive.get(digest, now)

    async def obtain(self, asked: Introspection, token: str, *, patience: float) -> bool:
        """Ask the issuer, and wait up to ``patience`` seconds; whether it has answered."""
        digest = _digest(asked, token)
        question = partial(self._ask, asked, token, digest)
        return await self._questions.ask(asked.provider, digest, question, patience=patience) is not None

    async def aclose(self) -> None:
        """End what runs."""
        await self._questions.aclose()

    async def _ask(self, asked: Introspection, token: str, digest: bytes) -> Known:
        try:
            form = {"token": token, "token_type_hint": "access_token"}
            found = read_introspection(*await self._client.post(asked.endpoint, form))
        except IssuerError:
            self._count(asked.provider, "failure")
            raise
        now = self._wall()
        if isinstance(found, Active):
            self._count(asked.provider, "active")
            found = replace(found, until=now + asked.ttl)
            self._active.put(digest, found, ends_at=found.until)
        else:
            self._count(asked.provider, "inactive")
            self._inactive.put(digest, found, ends_at=now + min(INACTIVE_SECONDS, asked.ttl))
        return found


def read_introspection(status: int, body: bytes) -> Known:
    """What an introspection endpoint answered (RFC 7662 §2.2).

    Raises:
        IssuerError: it is no answer about a token. A 401 is about the gateway's own credentials (§2.3).
    """
    if status != _OK:
        raise IssuerError(f"answered {status}")
    answer = strict_object(body)
    if answer is None or not isinstance(answer.get("active"), bool):
        raise IssuerError("did not say whether the token is active")
    if not answer.pop("active"):
        return Inactive()
    return Active(answer)


def _digest(asked: Introspection, token: str) -> bytes:
    parts = (asked.provider, asked.endpoint.uri, asked.endpoint.client_id, str(asked.ttl), token)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()
