"""Several replicas write at once and are killed: one history without gaps, and all that was answered is there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controlplane.store import Outcome, Store, StoreError, open_store
from controlplane.store.sql import Turn
from controlplane.store.sql_audit import SqlAuditLog
from tests.harness.postgres import Postgres, running_postgres

pytestmark = pytest.mark.xdist_group("postgres")

Answers = dict[str, list[Any]]


class Writers:
    """Processes of ``tests.harness.store_writer``, each with a file that it writes its answers to."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._files: list[Path] = []

    def start(self) -> None:
        """One more."""
        path = self._folder / f"writer{len(self._files)}"
        command = [sys.executable, "-m", "tests.harness.store_writer", self._url, f"w{len(self._files)}-"]
        with path.open("wb") as file, (self._folder / "errors").open("ab") as errors:
            self._running.append(subprocess.Popen(command, stdout=file, stderr=errors))
        self._files.append(path)

    def kill(self) -> None:
        """End the oldest as ``kill -9`` does."""
        process = self._running.pop(0)
        process.send_signal(signal.SIGKILL)
        process.wait(20)

    def close(self) -> None:
        """Kill all."""
        while self._running:
            self.kill()

    def until(self, lines: int, *, newest: int = 1) -> None:
        """Wait until each of the ``newest`` writers has said so much."""
        deadline = time.monotonic() + 45
        while any(path.read_bytes().count(b"\n") < lines for path in self._files[-newest:]):
            assert time.monotonic() < deadline, (self._folder / "errors").read_text()
            time.sleep(0.05)

    def answers(self) -> Answers:
        """What all have said, by kind. A line that was cut short was no answer."""
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for path in self._files:
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    kind, _, value = line.partition(" ")
                    found[kind].append(json.loads(value))
        return found


@contextmanager
def writers(url: str, folder: Path) -> Iterator[Writers]:
    """Writers that are gone at the end."""
    made = Writers(url, folder)
    try:
        yield made
    finally:
        made.close()


async def assert_whole(store: Store, answers: Answers) -> None:
    """No gap, no fork, a chain that verifies, and everything that was answered."""
    revisions: dict[int, Any] = {}
    before = None
    while page := await store.revisions.page(before, 500):
        revisions |= {head.number: head for head in page}
        before = page[-1].number
    assert sorted(revisions) == list(range(1, len(revisions) + 1))
    assert len(answers["revision"]) == len({number for number, _ in answers["revision"]}) > 0
    assert all(revisions[number].digest == digest for number, digest in answers["revision"])
    assert all(revisions[number].outcome is Outcome.APPLIED for number, _ in answers["mark"])
    verdict = await store.audit.verify()
    assert verdict.first_bad is None
    entries: dict[int, str] = {}
    before = None
    while log := await store.audit.page(before, 500):
        entries |= {entry.number: entry.digest for entry in log}
        before = log[-1].number
    assert verdict.count == len(entries)
    assert len(answers["audit"]) == len({number for number, _ in answers["audit"]}) > 0
    assert all(entries[number] == digest for number, digest in answers["audit"])
    assert {one.id for one in await store.nodes.load(20_000)} >= set(answers["node"])
    assert answers["token"]
    for token_id in answers["token"]:
        assert await store.tokens.find(token_id) is not None
    print({kind: len(values) for kind, values in answers.items()}, "answered;", len(revisions), "revisions")


async def test_four_replicas_with_kills_make_one_history(url: str, tmp_path: Path) -> None:
    """Four processes write to everything; two are killed and replaced on the way."""
    with writers(url, tmp_path) as running:
        for _ in range(4):
            running.start()
        running.until(15, newest=4)
        for _ in range(2):
            running.kill()
            running.start()
            running.until(10)
    store = await open_store(url)
    try:
        await assert_whole(store, running.answers())
    finally:
        await store.close()


async def test_a_killed_server_loses_nothing_in_any_table(tmp_path: Path) -> None:
    """PostgreSQL itself is killed twice amid the writes of two replicas, which go on by themselves when it is back.

    An open store says in its own words that the server is away, and then works again.
    """
    with running_postgres() as server, writers(server.url(), tmp_path) as running:
        store = await open_store(server.url())
        for _ in range(2):
            running.start()
        running.until(20, newest=2)
        for round_ in (1, 2):
            server.kill()
            with pytest.raises(StoreError):
                await store.revisions.newest()
            server.start()
            running.until(20 + 30 * round_, newest=2)
        running.close()
        await assert_whole(store, running.answers())
        await store.close()


async def test_a_replica_that_hangs_amid_a_write_holds_nobody_up(postgres: Postgres) -> None:
    """One stops while it has its turn; the server ends its transaction, and the next append is answered in time."""
    url = postgres.make_database("hanging")
    hanging, other = await open_store(url), await open_store(url)
    try:
        assert isinstance(hanging.audit, SqlAuditLog)
        with pytest.raises(StoreError):
            async with hanging.audit._database.writing("x", Turn.AUDIT):
                entry = await other.audit.append(actor="", address="", action="", target="", detail={})
        assert entry.number == 1
        assert (await hanging.audit.append(actor="", address="", action="", target="", detail={})).number == 2
    finally:
        await hanging.close()
        await other.close()
