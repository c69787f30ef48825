"""Every test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controlplane.store import RevisionStore, Store, open_store
from tests.harness.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of one worker."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty("postgres")


@pytest.fixture
async def everything(url: str) -> AsyncIterator[Store]:
    """An empty store."""
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
def store(everything: Store) -> RevisionStore:
    """Its revisions."""
    return everything.revisions
