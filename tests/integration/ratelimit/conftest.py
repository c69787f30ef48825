"""One Valkey for each test process, emptied before each test; and one of its own for tests that break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.valkey import Valkey, running_valkey


@pytest.fixture(scope="session")
def _shared_valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def valkey(_shared_valkey: Valkey) -> Valkey:
    """An empty server. Leave it running."""
    _shared_valkey.command("FLUSHALL")
    return _shared_valkey


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server that the test may kill, pause or set up otherwise."""
    with running_valkey() as server:
        yield server
