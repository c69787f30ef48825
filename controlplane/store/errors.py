"""What can go wrong with the history, and the one place where the database's own exceptions become that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class StoreError(Exception):
    """The database could not do it, or did not answer in time: whether it was done is not known."""


class ConflictError(StoreError):
    """The newest revision is not the one that the writer had in mind; nothing was written."""


class TransferError(StoreError):
    """What was to be imported is no whole export, or the store is not empty; nothing was written."""


@contextmanager
def as_store_error(doing: str) -> Iterator[None]:
    """Turn what drivers, SQLAlchemy and Alembic raise into :class:`StoreError`."""
    try:
        yield
    except TimeoutError as error:
        raise StoreError(f"{doing}: the database did not answer in time") from error
    except DBAPIError as error:
        # Its own text ends in the statement and a link, which tell an operator nothing.
        raise StoreError(f"{doing}: {error.orig}") from error
    except (SQLAlchemyError, CommandError, OSError, sqlite3.Error) as error:
        raise StoreError(f"{doing}: {error}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # While it connects, SQLAlchemy lets these through as they are.
        raise StoreError(f"{doing}: {error}") from error
