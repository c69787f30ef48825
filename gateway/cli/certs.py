"""``gateway certs``: a private authority for people without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(certs)


def certs(
    folder: Annotated[Path, typer.Argument(help="Where tls.crt, tls.key and ca.crt go.", metavar="DIR")],
    host: Annotated[list[str], typer.Option(help="A DNS name or IP address of a part; repeat it for each.")],
    days: Annotated[int, typer.Option(help="Validity in days.", min=1, max=3650)] = 825,
) -> None:
    """Make a private authority and a certificate, for mutual TLS between the parts.

    GATEWAY_TLS_DIR=DIR makes every part use them. Certificates that are there and cover the hosts are kept.
    """
    from gateway.certificates import keep_certificates, write_certificates

    if keep_certificates(folder, hosts=host):
        typer.echo(f"{folder}: kept")
    else:
        write_certificates(folder, hosts=host, days=days)
        typer.echo(f"{folder}: written")
