"""The folder of configuration files: read at the start, looked at again every second."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter

from ratelimit_service.rules.errors import Mistake, RulesError
from ratelimit_service.rules.loading import load
from ratelimit_service.rules.text import MAX_BYTES
from ratelimit_service.rules.tree import Domains

INTERVAL_SECONDS = 1.0
"""Between two looks."""
MAX_FILES = 10_000

_log = structlog.get_logger(__name__)

_Seen = tuple[tuple[str, int, int, int], ...]


class RuleFolder:
    """The rules of a folder's ``*.yaml`` and ``*.yml`` files, the last good ones while there are mistakes."""

    def __init__(self, folder: Path, registry: CollectorRegistry, *, merge: bool = False) -> None:
        self._folder = folder
        self._merge = merge
        self._loads = Counter(
            "gateway_ratelimit_rule_loads", "Times that changed files were read.", ["outcome"], registry=registry
        )
        self._seen: _Seen = ()
        self._domains: Domains = {}

    def domains(self) -> Domains:
        """The rules that hold."""
        return self._domains

    def load(self) -> None:
        """Read the files.

        Raises:
            RulesError: they can't be used; the rules that held still hold.
        """
        # what changes while it is read is seen as changed the next time
        self._seen = self._look()
        self._domains = load({path.name: _read(path) for path in self._files()}, merge=self._merge)

    async def follow(self) -> None:
        """Read the files again whenever one has changed, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Read the files again if one has changed; tell of mistakes."""
        try:
            if await asyncio.to_thread(self._look) == self._seen:
                return
            await asyncio.to_thread(self.load)
        except RulesError as error:
            self._loads.labels("error").inc()
            _log.error("the rate-limit files can't be used; the last good rules hold", mistakes=str(error).split("\n"))
        else:
            self._loads.labels("success").inc()
            _log.info("the rate-limit files were read", domains=len(self._domains))

    def _files(self) -> list[Path]:
        try:
            found = sorted(
                path
                for path in self._folder.iterdir()
                if path.suffix in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()
            )
        except OSError as error:
            raise RulesError([Mistake(str(self._folder), 1, 1, f"no readable folder: {error.strerror}")]) from None
        if len(found) > MAX_FILES:
            raise RulesError([Mistake(str(self._folder), 1, 1, f"there are more than {MAX_FILES} files")])
        return found

    def _look(self) -> _Seen:
        """What tells that files have changed: through symlinks, so that a swapped one counts."""
        seen = []
        for path in self._files():
            try:
                found = path.stat()
            except OSError:  # it went away a moment ago
                continue
            seen.append((path.name, found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(seen)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RulesError([Mistake(path.name, 1, 1, f"can't be read: {error.strerror}")]) from None
