"""Tokens that were made through the API. A revoked one lets nobody in a second later, on every replica."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from cachetools import LRUCache, TTLCache

from controlplane.admin.security.identity import Credentials, Identity, Role, Unprovable
from controlplane.store import StoreError
from controlplane.store.tokens import TOKEN_TEXT, Token, TokenStore

_REMEMBERED_SECONDS = 1.0
_REMEMBERED = 1000
_TOUCH_SECONDS = 60.0


class StoredTokens:
    """Proves who is asking by a token of the store, which knows only hashes.

    Args:
        clock: Unix time, for expiry.
        timer: seconds that only grow, for what is remembered.
    """

    def __init__(self, store: TokenStore, *, clock: Callable[[], float], timer: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._timer = timer
        self._known: TTLCache[str, Token | None] = TTLCache(_REMEMBERED, _REMEMBERED_SECONDS, timer=timer)
        self._touched: LRUCache[str, float] = LRUCache(_REMEMBERED)

    async def identify(self, credentials: Credentials) -> Identity | None:
        """Who the token was made for."""
        read = TOKEN_TEXT.read(credentials.bearer) if credentials.bearer is not None else None
        if read is None:
            return None
        token = await self._find(read.id)
        if token is None or not token.matches(read.secret) or not self._is_valid(token):
            return None
        await self._touch(token.id)
        return Identity(
            name=f"token:{token.name}",
            method="token",
            role=Role(token.role),
            scopes=tuple(token.scopes),
            key=f"token:{token.id}",
            expires_at=token.expires_at.timestamp() if token.expires_at is not None else None,
            token_id=token.id,
        )

    def _is_valid(self, token: Token) -> bool:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)

    async def _find(self, token_id: str) -> Token | None:
        if token_id not in self._known:
            try:
                self._known[token_id] = await self._store.find(token_id)
            except StoreError as error:
                raise Unprovable("the store of tokens does not answer") from error
        return self._known.get(token_id)

    async def _touch(self, token_id: str) -> None:
        """Write down that it was used, now and then. It is a note and no proof: it may fail."""
        now = self._timer()
        if now - self._touched.get(token_id, -_TOUCH_SECONDS) >= _TOUCH_SECONDS:
            self._touched[token_id] = now
            with suppress(StoreError):
                await self._store.touched(token_id)
