"""The tables, as the newest migration leaves them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from controlplane.store.storable import storable, storable_json


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, also in SQLite, which knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Before it is written."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """After it was read."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A value as the text of its JSON, which comes back byte for byte, unlike what PostgreSQL makes of its own type."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str:
        """Before it is written."""
        return storable_json(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        """After it was read."""
        return None if value is None else json.loads(value)


class Words(TypeDecorator[str]):
    """A text from outside. What neither database takes in one (NUL, halves of surrogate pairs) is replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """Before it is written."""
        return None if value is None else storable(value)


_Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite gives out numbers for INTEGER only."""

metadata = MetaData()

revisions = Table(
    "revisions",
    metadata,
    # Numbers are chosen by the writer: a sequence would leave gaps, and this key is what makes two writers with the
    # same parent collide.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("author", Words, nullable=False),
    Column("origin", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("groups", Json, nullable=False, server_default="{}"),
)

origins = Table(
    "origins",
    metadata,
    Column("origin", Words, primary_key=True),
    Column("digest", String(64), nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Words, nullable=False),
    Column("address", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("detail", Json, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    # In the order in which they were made, by no clock.
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("role", String(16), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", Words, nullable=False, unique=True),
    Column("provider", Words, nullable=False),
    Column("owner", Words, nullable=False),
    Column("tier", Words, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("previous_digest", String(64), nullable=False),
    Column("previous_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("rotated_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    # Of all keys: who has read up to a number has missed nothing.
    Column("change", BigInteger, nullable=False),
)

limit_overrides = Table(
    "limit_overrides",
    metadata,
    Column("id", Words, primary_key=True),
    Column("limit", Words, nullable=False),
    Column("caller", Json, nullable=False),
    Column("ruling", String(16), nullable=False),
    Column("requests", BigInteger),
    Column("period", Float(53)),
    Column("burst", BigInteger),
    Column("note", Words, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
    # Of all overrides: who has read up to a number has missed nothing.
    Column("change", BigInteger, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Words, primary_key=True),
    Column("replica", Words, nullable=False),
    Column("service", Words, nullable=False),
    Column("group", Words, nullable=False),
    Column("peer", Words, nullable=False),
    Column("connected_at", UtcDateTime, nullable=False),
    Column("disconnected_at", UtcDateTime),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("types", Json, nullable=False),
)
