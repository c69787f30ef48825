"""``gateway certs``: a private authority for people without one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(certs)


def certs(
    folder: Annotated[Path, typer.Argument(help="Where tls.crt, tls.key and ca.crt go.", metavar="DIR")],
    host: Annotated[
        list[str] | None, typer.Option(help="A DNS name or IP address of a part; repeat it for each.")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="A certificate of its own, in DIR/NAME, for the part of these hosts; repeat it.",
            metavar="NAME=HOST[,HOST]",
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Validity in days.", min=1, max=3650)] = 825,
) -> None:
    """Make a private authority and certificates, for mutual TLS between the parts.

    With --host all parts share one certificate; with --part each proves who it is, as node groups may ask.
    GATEWAY_TLS_DIR makes a part use a folder. Certificates that are there and cover the hosts are kept.
    """
    from gateway.certificates import keep_certificates, write_parts
    from gateway.errors import CommandError

    if bool(host) == bool(part):
        raise typer.BadParameter("name the hosts with --host, or each part with --part")
    folders = {folder: host} if host else {folder / name: hosts for name, hosts in map(_part, part or ())}
    kept = [one for one, hosts in folders.items() if keep_certificates(one, hosts=hosts)]
    if kept and len(kept) < len(folders):
        missing = " and ".join(str(one) for one in folders if one not in kept)
        raise CommandError(f"{missing} can't be added: the authority's key was forgotten. Name another folder.")
    if not kept:
        write_parts(folders, days=days)
    for one in folders:
        typer.echo(f"{one}: {'kept' if kept else 'written'}")


def _part(text: str) -> tuple[str, list[str]]:
    name, _, hosts = text.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or not all(listed := hosts.split(",")):
        raise typer.BadParameter(f"{text!r} is not NAME=HOST[,HOST], as in edge=edge-1.example.com")
    return name, listed
