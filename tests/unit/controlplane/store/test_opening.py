"""What goes wrong at opening is said in one kind of error, and what is opened is for its user only."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from controlplane.store import StoreError, open_store

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://a:secret@b/c",
        "sqlite://",
        "sqlite:////dev/null/history.db",
        "postgresql://ann:secret@127.0.0.1:1/history",
        "postgresql://ann:secret@127.0.0.1:port/history",
        "postgresql://ann:secret@/history?host=/nowhere",
    ],
)
async def test_a_store_that_cannot_be_opened_says_so_without_the_password(url: str) -> None:
    """Whatever is wrong with a URL is a StoreError in plain words."""
    with pytest.raises(StoreError) as caught:
        await open_store(url)
    assert "secret" not in str(caught.value)


async def test_what_the_server_refuses_at_connection_is_a_store_error(postgres: object) -> None:
    """A database that is not there is told by the server, before SQLAlchemy has a say."""
    assert hasattr(postgres, "url")
    with pytest.raises(StoreError, match="does not exist"):
        await open_store(postgres.url("missing"))


async def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    """SQLite says what it found."""
    path = tmp_path / "history.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await open_store(f"sqlite:///{path}")


async def test_the_file_is_for_its_user_only(tmp_path: Path) -> None:
    """Documents hold hashes of API keys: neither the database nor its log is readable by others."""
    store = await open_store(f"sqlite:///{tmp_path}/100%.db")
    try:
        await store.revisions.record(b"a", origin="", author="", message="", digest=hashlib.sha256(b"a").hexdigest())
        assert modes(tmp_path) == {0o600}
    finally:
        await store.close()


def modes(folder: Path) -> set[int]:
    """The permissions of the files in a folder."""
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
