"""gRPC over a Unix socket, over loopback, or over mutual TLS: never in the clear across a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio

from servicekit.address import Address
from servicekit.settings import PeerSettings, SettingsError
from servicekit.tls_files import AUTHORITY, CERTIFICATE, PRIVATE_KEY, Identity, TlsFiles, TlsFilesError

__all__ = ["AUTHORITY", "CERTIFICATE", "PRIVATE_KEY", "Channels", "add_port", "open_channel", "require_private"]

Options = Sequence[tuple[str, int | str]]


def add_port(server: grpc.aio.Server, address: Address, settings: PeerSettings) -> None:
    """Make ``server`` listen on ``address``. With TLS each new connection is shown the newest certificate.

    Raises:
        SettingsError: the address leaves the machine and there is no TLS, the TLS files can't be read,
            or the address can't be bound.
    """
    try:
        if address.is_unix or settings.tls_dir is None:
            require_private(address, settings)
            server.add_insecure_port(str(address))
        else:
            server.add_secure_port(str(address), _server_credentials(_files(settings.tls_dir)))
    except RuntimeError as error:
        raise SettingsError(f"cannot listen on {address}: {error}") from error


def open_channel(address: Address, settings: PeerSettings, options: Options | None = None) -> grpc.aio.Channel:
    """A channel to ``address``. With TLS it shows what the files hold now, for ever; see :class:`Channels`.

    Raises:
        SettingsError: the address leaves the machine and there is no TLS, or the TLS files can't be read.
    """
    if address.is_unix or settings.tls_dir is None:
        require_private(address, settings)
        return grpc.aio.insecure_channel(str(address), options=options)
    return _secure_channel(address, _files(settings.tls_dir).current(), options)


class Channels:
    """The channel to one address, made anew when the TLS files have changed.

    Raises:
        SettingsError: the address leaves the machine and there is no TLS, or the TLS files can't be read.
    """

    def __init__(self, address: Address, settings: PeerSettings, options: Options | None = None) -> None:
        self._address = address
        self._options = options
        self._files = None if address.is_unix or settings.tls_dir is None else _files(settings.tls_dir)
        self._shown = None if self._files is None else self._files.current()
        self._channel = open_channel(address, settings, options)

    async def current(self) -> grpc.aio.Channel:
        """The channel for what begins now. If it is a new one, the old one is closed: ask when nothing runs on that."""
        if self._files is not None and (newest := self._files.current()) is not self._shown:
            await self._channel.close()
            self._shown = newest
            self._channel = _secure_channel(self._address, newest, self._options)
        return self._channel

    async def close(self) -> None:
        """Close it."""
        await self._channel.close()


def _secure_channel(address: Address, shown: Identity, options: Options | None) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=shown.authority, private_key=shown.key, certificate_chain=shown.certificate
    )
    return grpc.aio.secure_channel(str(address), credentials, options=options)


def _server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Asked at each handshake, from gRPC's own threads."""
    shown = files.current()

    def newest() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        current = files.current()
        if current is shown:
            return None
        shown = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(_configuration(shown), newest, require_client_authentication=True)


def _configuration(shown: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(shown.key, shown.certificate)], shown.authority)


def require_private(address: Address, settings: PeerSettings) -> None:
    """Refuse plaintext that leaves the machine.

    Raises:
        SettingsError: there is no TLS, the address is not on this machine, and nobody allowed it.
    """
    if settings.tls_dir is None and not address.stays_on_machine and not settings.insecure_network:
        raise SettingsError(
            f"{address} is beyond this machine and gRPC to it would be in the clear: set GATEWAY_TLS_DIR to a folder "
            f"with {CERTIFICATE}, {PRIVATE_KEY} and {AUTHORITY}, or GATEWAY_INSECURE_NETWORK=true where the network "
            "itself encrypts"
        )


def _files(folder: Path) -> TlsFiles:
    try:
        return TlsFiles(folder)
    except TlsFilesError as error:
        raise SettingsError(f"GATEWAY_TLS_DIR: {error}") from error
