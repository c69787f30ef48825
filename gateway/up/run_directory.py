"""The private folder of one run: sockets, tokens, the bootstrap. Nothing of it is left afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "gateway-up-"
_LONGEST_BASE = 60
"""Bytes. A Unix socket's path has at most 107 of them, and ours ends in ``/gateway-up-XXXXXXXX/ext_authz.sock``."""


@contextlib.contextmanager
def run_directory(base: Path | None = None) -> Iterator[Path]:
    """A folder that only its user can enter (0700), removed at the end.

    Folders of earlier runs that were killed before they could clean up are removed too: a run holds a lock on its
    own, which the kernel releases whatever happens.

    Args:
        base: where to make it; without it ``XDG_RUNTIME_DIR``, or the folder for temporary files.
    """
    base = base or _base()
    _remove_left_over(base)
    path, lock = _make(base)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _base() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(runtime.encode()) <= _LONGEST_BASE and os.access(runtime, os.W_OK):
        return Path(runtime)
    temporary = tempfile.gettempdir()
    return Path(temporary if len(temporary.encode()) <= _LONGEST_BASE else "/tmp")  # noqa: S108  mkdtemp is private


def _make(base: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))  # mode 0700
        lock = _lock(path)
        # Between its making and its lock another start may have taken it for a left-over.
        if lock is not None and path.exists():
            return path, lock


def _remove_left_over(base: Path) -> None:
    for path in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid != os.getuid():
                continue
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock on a folder; ``None`` when another process does, or the folder is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
