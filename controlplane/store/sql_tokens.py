"""Tokens in a database that speaks SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cachetools import TTLCache
from sqlalchemy import Row, insert, or_, select, update

from controlplane.store.sql import LARGEST_PAGE, Database, Turn
from controlplane.store.tables import tokens
from controlplane.store.tokens import ROLES, TOKEN_TEXT, Token, secret_digest

_TOUCH_SECONDS = 60.0
_TOUCHES = 10_000
_COLUMNS = tuple(column for column in tokens.columns if column.name != "number")


class SqlTokenStore:
    """A :class:`~controlplane.store.tokens.TokenStore` on SQLAlchemy."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: TTLCache[str, None] = TTLCache(_TOUCHES, _TOUCH_SECONDS)

    async def create(
        self, *, name: str, role: str, scopes: tuple[str, ...] = (), expires_at: datetime | None = None
    ) -> tuple[Token, str]:
        """Make a token."""
        if role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}")
        if not all(scope.startswith("/") for scope in scopes):
            raise ValueError("a scope is the beginning of a path")
        text = TOKEN_TEXT.make()
        token = Token(
            id=text.id,
            name=name,
            role=role,
            scopes=scopes,
            digest=secret_digest(text.secret),
            created_at=datetime.now(UTC),
            expires_at=expires_at.astimezone(UTC) if expires_at is not None else None,
            revoked_at=None,
            last_used_at=None,
        )
        async with self._database.writing("the token was not made", Turn.TOKENS) as connection:
            await connection.execute(insert(tokens).values(token_row(token)))
        return token, TOKEN_TEXT.write(text)

    async def find(self, token_id: str) -> Token | None:
        """One token."""
        query = select(*_COLUMNS).where(tokens.c.id == token_id)
        async with self._database.reading("the token cannot be read") as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else read_row(row)

    async def page(self, after: str | None = None, limit: int = 50) -> tuple[Token, ...]:
        """Tokens, newest first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} tokens")
        query = select(*_COLUMNS).order_by(tokens.c.number.desc()).limit(limit)
        if after is not None:
            query = query.where(tokens.c.number < select(tokens.c.number).where(tokens.c.id == after).scalar_subquery())
        async with self._database.reading("the tokens cannot be read") as connection:
            return tuple(read_row(row) for row in await connection.execute(query))

    async def revoke(self, token_id: str) -> bool:
        """Make it invalid for good."""
        one = tokens.c.id == token_id
        change = update(tokens).where(one, tokens.c.revoked_at.is_(None)).values(revoked_at=datetime.now(UTC))
        async with self._database.writing("the token was not revoked") as connection:
            await connection.execute(change)
            return (await connection.execute(select(tokens.c.id).where(one))).one_or_none() is not None

    async def touched(self, token_id: str) -> None:
        """Remember that it was used now."""
        if token_id in self._touched:
            return
        self._touched[token_id] = None
        now = datetime.now(UTC)
        stale = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < now - timedelta(seconds=_TOUCH_SECONDS))
        change = update(tokens).where(tokens.c.id == token_id, stale).values(last_used_at=now)
        async with self._database.writing("the use of a token was not recorded") as connection:
            await connection.execute(change)


def token_row(token: Token) -> dict[str, Any]:
    """Its columns."""
    return {column.name: getattr(token, column.name) for column in _COLUMNS} | {"scopes": list(token.scopes)}


def read_row(row: Row[Any]) -> Token:
    """From its columns."""
    columns = {column.name: row._mapping[column] for column in _COLUMNS}
    return Token(**columns | {"scopes": tuple(row.scopes)})
