"""HTTPS for the HTTP side of a process: certificates from a folder, read again when they change."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from servicekit.settings import SettingsError
from servicekit.tls import AUTHORITY, CERTIFICATE, PRIVATE_KEY

_log = structlog.get_logger(__name__)

RELOAD_SECONDS = 5.0


class HttpsFiles:
    """The TLS side of a server, from a folder as a Kubernetes TLS secret is one.

    With ``ca.crt`` in it, clients may show a certificate, and one that the authority has not signed ends the
    connection; without it, none is asked for. An authority that is taken out of the file counts until a restart.

    Raises:
        SettingsError: the files can't be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._stamps()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._load()

    async def keep_fresh(self) -> None:
        """Read the files again when they have changed, for ever. New connections get what is new."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Read the files again if they have changed; files that can't be used change nothing."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._load()
        except SettingsError as error:
            _log.error("new certificates can't be used; the old ones stay", reason=str(error))
            return
        _log.info("certificates were read again", folder=str(self._folder))

    def _load(self) -> None:
        certificate, key, authority = self._folder / CERTIFICATE, self._folder / PRIVATE_KEY, self._folder / AUTHORITY
        try:
            # Into a new context first: what fails half-way must not leave a certificate without its key.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
            self.context.load_cert_chain(certificate, key, password=lambda: "")
            if authority.exists():
                self.context.load_verify_locations(authority)
                self.context.verify_mode = ssl.CERT_OPTIONAL
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"{self._folder}: the TLS files can't be used: {error}") from error

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp(self._folder / name) for name in (CERTIFICATE, PRIVATE_KEY, AUTHORITY))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
