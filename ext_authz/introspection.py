"""Asks issuers about opaque tokens (RFC 7662): once for each token, however many requests come with it.

What an issuer said is kept for a bounded time. Tokens that are not active are kept apart and shortly, so that whoever
invents some pushes out none that is good.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import structlog

from ext_authz.cache import BoundedCache
from ext_authz.issuer_client import IssuerClient, IssuerEndpoint, IssuerError

INACTIVE_SECONDS: Final = 5.0
"""How long a token that was not active is not asked about again."""
MOST_AT_ONCE: Final = 256
"""Questions at a time; more are refused at once."""
_OK: Final = 200

_log = structlog.get_logger(__name__)


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
        self._running: dict[bytes, asyncio.Task[bool]] = {}

    def known(self, asked: Introspection, token: str) -> Known | None:
        """What is known of a token now; ``None`` when its issuer has to be asked."""
        digest, now = _digest(asked, token), self._wall()
        return self._active.get(digest, now) or self._inactive.get(digest, now)

    async def obtain(self, asked: Introspection, token: str, *, patience: float) -> bool:
        """Ask the issuer, and wait up to ``patience`` seconds; whether it has answered.

        A question that takes longer goes on: its answer is for who comes next.
        """
        digest = _digest(asked, token)
        task = self._running.get(digest)
        if task is None:
            if len(self._running) >= MOST_AT_ONCE:
                return False
            task = asyncio.create_task(self._ask(asked, token, digest), name="token introspection")
            self._running[digest] = task
        done, _ = await asyncio.wait({task}, timeout=patience)
        return task.result() if done else False

    async def aclose(self) -> None:
        """End what runs."""
        tasks = set(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, asked: Introspection, token: str, digest: bytes) -> bool:
        try:
            form = {"token": token, "token_type_hint": "access_token"}
            found = read_introspection(*await self._client.post(asked.endpoint, form))
        except IssuerError as error:
            self._count(asked.provider, "failure")
            _log.warning("a token could not be introspected", provider=asked.provider, reason=str(error))
            return False
        finally:
            del self._running[digest]
        if isinstance(found, Active):
            self._count(asked.provider, "active")
            until = self._wall() + asked.ttl
            self._active.put(digest, replace(found, until=until), ends_at=until)
        else:
            self._count(asked.provider, "inactive")
            self._inactive.put(digest, found, ends_at=self._wall() + min(INACTIVE_SECONDS, asked.ttl))
        return True


def read_introspection(status: int, body: bytes) -> Known:
    """What an introspection endpoint answered (RFC 7662 §2.2).

    Raises:
        IssuerError: it is no answer about a token. A 401 is about the gateway's own credentials (§2.3).
    """
    if status != _OK:
        raise IssuerError(f"answered {status}")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
        raise IssuerError("did not say whether the token is active")
    if not answer.pop("active"):
        return Inactive()
    return Active(answer)


def _digest(asked: Introspection, token: str) -> bytes:
    parts = (asked.provider, asked.endpoint.uri, asked.endpoint.client_id, token)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()
