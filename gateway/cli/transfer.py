"""``gateway export`` and ``gateway import``: everything that the store holds, as lines of JSON."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, plain, show
from gateway.errors import CommandError

_STANDARD = "-"
LARGEST = 256 * 1024 * 1024
"""Bytes that are read in for an import."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("export")(export_store)
    app.command("import")(import_store)


def export_store(
    file: Annotated[str, typer.Argument(help="Where it goes; - for standard output.", metavar="FILE")] = _STANDARD,
    context: ContextName = None,
) -> None:
    """Write everything that the store holds to a file: revisions, audit log, tokens (without their secrets).

    The file is there when it is whole, and only its user can read it.
    """
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client, client.download("/export") as chunks:
        if file == _STANDARD:
            _copy(chunks, sys.stdout.fileno())
        else:
            _keep(chunks, Path(file))


def import_store(
    file: Annotated[str, typer.Argument(help="What export wrote; - for standard input.", metavar="FILE")],
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Read everything that an export holds into a store that is empty."""
    from gateway.cli.admin_client import Body, admin_client

    body = Body(content=_read(file), media_type="application/x-ndjson")
    with admin_client(context) as client:
        answer = client.send("POST", "/import", body=body, wait=570.0)
    show(answer, output, lambda _: [plain(f"{name}: {value}") for name, value in (answer or {}).items()])


def _keep(chunks: Iterable[bytes], path: Path) -> None:
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        try:
            try:
                _copy(chunks, fd)
                os.fsync(fd)
            finally:
                os.close(fd)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _copy(chunks: Iterable[bytes], fd: int) -> None:
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(fd, rest) :]


def _read(name: str) -> bytes:
    try:
        if name == _STANDARD:
            found = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                found = file.read(LARGEST + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    if len(found) > LARGEST:
        raise CommandError(f"{name}: an import has at most {LARGEST} bytes")
    return found
