"""Nothing that was answered is lost, whoever dies, and what goes wrong is said in one kind of error."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane.store import RevisionStore, StoreError, open_store
from tests.harness.postgres import running_postgres

pytestmark = pytest.mark.xdist_group("postgres")


@contextmanager
def writer(url: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that writes until it is killed."""
    command = [sys.executable, "-m", "tests.harness.revision_writer", url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def answered(process: subprocess.Popen[str], count: int) -> list[str]:
    """The next lines of a writer: number and text."""
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def rest(process: subprocess.Popen[str]) -> list[str]:
    """What a writer had said until it died. A line that was cut short was not an answer."""
    assert process.stdout is not None
    return [line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]


async def assert_kept(store: RevisionStore, lines: list[str]) -> None:
    """Every answered revision is there under its number, and no number is missing."""
    assert lines
    for line in lines:
        number, _, text = line.partition(" ")
        revision = await store.get(int(number))
        assert revision is not None, line
        assert revision.text.decode() == text
        assert revision.digest == hashlib.sha256(revision.text).hexdigest()
    numbers = [head.number for head in await store.page(limit=500)]
    assert numbers == list(range(len(numbers), 0, -1))


async def test_a_killed_writer_loses_nothing_that_was_answered(url: str) -> None:
    """Two processes write, one is killed with SIGKILL amid its writes, the other goes on."""
    with writer(url, "first") as first, writer(url, "second") as second:
        lines = answered(first, 10) + answered(second, 10)
        first.kill()
        lines += rest(first) + answered(second, 10)
        second.kill()
        lines += rest(second)
    store = await open_store(url)
    try:
        await assert_kept(store.revisions, lines)
    finally:
        await store.close()


async def test_a_killed_server_loses_nothing_that_was_answered() -> None:
    """PostgreSQL itself is killed amid writes; an open store says so while it is away, and then works again."""
    with running_postgres() as server:
        store = await open_store(server.url())
        try:
            with writer(server.url(), "writer") as process:
                lines = answered(process, 20)
                server.kill()
                lines += rest(process)
            with pytest.raises(StoreError):
                await store.revisions.newest()
            server.start()
            await assert_kept(store.revisions, lines)
        finally:
            await store.close()


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
