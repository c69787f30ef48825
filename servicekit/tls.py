"""gRPC over a Unix socket, over loopback, or over mutual TLS: never in the clear across a network."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio

from servicekit.address import Address
from servicekit.settings import PeerSettings, SettingsError

CERTIFICATE, PRIVATE_KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


def add_port(server: grpc.aio.Server, address: Address, settings: PeerSettings) -> None:
    """Make ``server`` listen on ``address``.

    Raises:
        SettingsError: the address leaves the machine and there is no TLS, the TLS files can't be read,
            or the address can't be bound.
    """
    try:
        if address.is_unix or settings.tls_dir is None:
            require_private(address, settings)
            server.add_insecure_port(str(address))
        else:
            key, certificate, authority = _read(settings.tls_dir)
            credentials = grpc.ssl_server_credentials(
                [(key, certificate)], root_certificates=authority, require_client_auth=True
            )
            server.add_secure_port(str(address), credentials)
    except RuntimeError as error:
        raise SettingsError(f"cannot listen on {address}: {error}") from error


def open_channel(
    address: Address, settings: PeerSettings, options: list[tuple[str, int | str]] | None = None
) -> grpc.aio.Channel:
    """A channel to ``address``.

    Raises:
        SettingsError: the address leaves the machine and there is no TLS, or the TLS files can't be read.
    """
    if address.is_unix or settings.tls_dir is None:
        require_private(address, settings)
        return grpc.aio.insecure_channel(str(address), options=options)
    key, certificate, authority = _read(settings.tls_dir)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=authority, private_key=key, certificate_chain=certificate
    )
    return grpc.aio.secure_channel(str(address), credentials, options=options)


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


def _read(folder: Path) -> tuple[bytes, bytes, bytes]:
    try:
        key, certificate, authority = ((folder / name).read_bytes() for name in (PRIVATE_KEY, CERTIFICATE, AUTHORITY))
    except OSError as error:
        raise SettingsError(f"GATEWAY_TLS_DIR: {error.filename}: {error.strerror}") from error
    return key, certificate, authority
