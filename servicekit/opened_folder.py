"""One folder that the operator opened: files below it can be named by others, and nothing outside of it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

FILE_NAME: Final = re.compile(r"(?!.*(?:^|/)(?:\.\.|\.(?:/|$)))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
"""A path below a folder, without a way up."""


class OpenedFolderError(Exception):
    """A name that leads to nothing that may be read. The text says why, and holds nothing of the file."""


class OpenedFolder:
    """Reads files below ``directory``, which ``setting`` names; ``None`` when nothing was opened."""

    def __init__(self, directory: Path | None, *, setting: str) -> None:
        self._directory = directory
        self._setting = setting

    def read(self, name: str, *, most: int) -> bytes:
        """The first ``most`` octets of a file as it is now. Blocks.

        Links are followed as long as they stay inside: Kubernetes mounts files so.

        Raises:
            OpenedFolderError: ``name`` is no path of :data:`FILE_NAME`, leads outside, or can't be read.
        """
        if not FILE_NAME.fullmatch(name):
            raise OpenedFolderError("not the name of a file")
        if self._directory is None:
            raise OpenedFolderError(f"{self._setting} of this process is not set")
        try:
            folder = self._directory.resolve(strict=True)
            path = (folder / name).resolve(strict=True)
            if not path.is_relative_to(folder):
                raise OpenedFolderError(f"a link leads out of {self._setting}")
            return _read(path, most)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            why = (error.strerror or "") if isinstance(error, OSError) else ""
            raise OpenedFolderError(why or "cannot be read") from None


def _read(path: Path, most: int) -> bytes:
    """Only of a regular file, so that nothing hangs."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a file")
        # Not before: opening a folder's descriptor as a file fails and would leave it open.
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(handle)
