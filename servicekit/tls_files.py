"""The three TLS files of a process, read again when they change."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

CERTIFICATE: Final = "tls.crt"
PRIVATE_KEY: Final = "tls.key"
AUTHORITY: Final = "ca.crt"

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files; connections in between do without."""

_log = structlog.get_logger(__name__)


class TlsFilesError(Exception):
    """The files can't be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process shows, and whom it trusts: PEM."""

    key: bytes
    certificate: bytes
    authority: bytes


class TlsFiles:
    """A folder with :data:`CERTIFICATE`, :data:`PRIVATE_KEY` and :data:`AUTHORITY`, as a Kubernetes TLS secret is one.

    Files that are replaced one by one, or by the swap of a link to their folder, count when all three fit together;
    until then what was read last does. May be used from several threads.

    Raises:
        TlsFilesError: the files can't be used.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._stamps = self._look()
        self._identity = self._read()
        self._looked_at = clock()

    def current(self) -> Identity:
        """The newest that is whole; the same object as long as nothing has changed."""
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= LOOK_EVERY:
                self._looked_at = now
                self._refresh()
            return self._identity

    def _refresh(self) -> None:
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            identity = self._read()
        except TlsFilesError as error:
            _log.error("new certificates can't be used; the old ones stay", reason=str(error))
            return
        if self._look() != stamps:
            self._stamps = ()  # they changed meanwhile: the next look reads again
            return
        if identity != self._identity:
            self._identity = identity
            _log.info("certificates were read again", folder=str(self._folder))

    def _read(self) -> Identity:
        paths = [self._folder / name for name in (PRIVATE_KEY, CERTIFICATE, AUTHORITY)]
        try:
            identity = Identity(*(path.read_bytes() for path in paths))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(paths[1], paths[0], password=lambda: "")  # no question on a terminal
            context.load_verify_locations(paths[2])
        except ssl.SSLError as error:
            raise TlsFilesError(f"{self._folder}: {error}") from error
        except OSError as error:
            raise TlsFilesError(f"{error.filename}: {error.strerror}") from error
        return identity

    def _look(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp(self._folder / name) for name in (PRIVATE_KEY, CERTIFICATE, AUTHORITY))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
