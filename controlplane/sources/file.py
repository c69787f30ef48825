"""A document in a file, or in the files of a folder, read again whenever one changes."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

from controlplane.config import ConfigError, Problem, load_document
from controlplane.config.parts import join_parts
from controlplane.config.yaml_text import MAX_BYTES
from controlplane.sources.links import folders_on_the_way
from controlplane.sources.source import Loaded

_PART = re.compile(r"[^.\x00-\x1f\x7f/][^\x00-\x1f\x7f/]*\.(?:ya?ml|json)")
_Reading = bytes | str
"""What a file holds, or why that cannot be said."""


class FileSource:
    """Follows one file or folder by its name, through whatever its name leads to.

    The document of a folder is all its files whose names end in ``.yaml``, ``.yml`` or ``.json``, in the order of their
    names; hidden ones and folders inside it are passed over.

    Folders are watched and not the file: editors write a new file and rename it over the old one, and Kubernetes turns
    a symbolic link (``..data``) to a new folder; neither changes the file that was there.
    """

    def __init__(self, path: Path, *, debounce: float = 0.1, poll: float = 2.0) -> None:
        """Prepare to follow ``path``.

        Args:
            path: the document, or the folder of its files.
            debounce: seconds for which changes are collected before the file is read.
            poll: seconds after which the file is looked at without a sign of change, for file systems that give none.
        """
        self._path = path
        self._debounce = debounce
        self._poll = poll

    async def documents(self) -> AsyncGenerator[Loaded, None]:
        """The document now, and after each change of its text."""
        previous: _Reading | None = None
        async with aclosing(self._occasions()) as occasions:
            async for _ in occasions:
                current = await self._read(previous)
                if current != previous:
                    previous = current
                    yield await asyncio.to_thread(_load, current, str(self._path))

    async def _occasions(self) -> AsyncGenerator[None, None]:
        """A moment to look at the file: at once, then whenever something has changed or may have."""
        while True:
            try:
                async with aclosing(self._watched()) as changes:
                    async for _ in changes:
                        yield
            except OSError:  # a folder is not there, or the machine has no watches left
                yield
                await asyncio.sleep(self._poll)

    async def _watched(self) -> AsyncGenerator[None, None]:
        """The beginning of a watch, and the changes that it sees, until the way to the file is another."""
        folders = await asyncio.to_thread(_folders, self._path)
        watcher = awatch(
            *folders,
            watch_filter=None,
            debounce=_milliseconds(self._debounce),
            step=_milliseconds(self._debounce / 2),
            rust_timeout=_milliseconds(self._poll),
            yield_on_timeout=True,
            recursive=False,
        )
        async with aclosing(_armed(watcher)) as changes:
            async for _ in changes:
                yield
                if await asyncio.to_thread(_folders, self._path) != folders:
                    return

    async def _read(self, previous: _Reading | None) -> _Reading:
        """The file's content. One that has just gone or been emptied is perhaps being written: it gets a moment."""
        current = await asyncio.to_thread(read_source, self._path)
        if isinstance(previous, bytes) and (isinstance(current, str) or not current):
            await asyncio.sleep(self._debounce)
            current = await asyncio.to_thread(read_source, self._path)
        return current


async def _armed(watcher: AsyncIterator[object]) -> AsyncGenerator[None, None]:
    """One moment as soon as ``watcher`` watches, so that no change falls between a look and the watch; then its own."""
    change = asyncio.ensure_future(_next(watcher))
    try:
        await asyncio.sleep(0)  # it begins to watch before it first waits
        if not change.done():
            yield
        while True:
            await change
            yield
            change = asyncio.ensure_future(_next(watcher))
    finally:
        change.cancel()
        await asyncio.wait([change])


async def _next(watcher: AsyncIterator[object]) -> object:
    return await anext(watcher)


def _folders(path: Path) -> frozenset[Path]:
    """Where something has to change for the document to be another.

    Raises:
        OSError: a link cannot be read.
    """
    if not path.is_dir():
        return folders_on_the_way(path)
    inside = (folders_on_the_way(file) for file in _files(path))
    return folders_on_the_way(path).union([path.absolute()], *inside)


def _files(folder: Path) -> list[Path]:
    """The files that make up a document.

    Raises:
        OSError: the folder cannot be read.
    """
    return [file for file in sorted(folder.iterdir()) if _PART.fullmatch(file.name) and not file.is_dir()]


def read_source(path: Path) -> bytes | str:
    """The text of a document in a file or a folder, or (as ``str``) why it cannot be read. Blocks."""
    try:
        if not path.is_dir():
            return _read_file(path)
        return _read_files(_files(path))
    except OSError as error:
        return f"the folder cannot be read: {error.strerror}"


def _read_files(files: Sequence[Path]) -> _Reading:
    if not files:
        return "there is no file in this folder whose name ends in .yaml, .yml or .json"
    parts: list[tuple[str, bytes]] = []
    size = 0
    for file in files:
        part = _read_file(file)
        if isinstance(part, str):
            return f"{file.name}: {part}"
        parts.append((file.name, part))
        size += len(part)
        if size > MAX_BYTES:  # for the parser to refuse
            break
    return join_parts(parts)


def _read_file(path: Path) -> _Reading:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "this is not a file"
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)  # one more than allowed, for the parser to refuse
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"


def _load(reading: _Reading, origin: str) -> Loaded:
    if isinstance(reading, str):
        problem = Problem(path=(), code="unreadable", message=reading, origin=origin)
        return Loaded(origin, ConfigError([problem]))
    try:
        return Loaded(origin, load_document(reading, origin=origin), reading)
    except ConfigError as error:
        return Loaded(origin, error, reading)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
