"""``gateway export`` and ``gateway import``: everything that the store holds, as lines of JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, plain, show
from gateway.errors import CommandError

_STANDARD = "-"
_MEDIA_TYPE = "application/x-ndjson"
_PIECE = 256 * 1024
_LAST_LINE = 64 * 1024
"""Bytes at the end of an export among which its last line stands."""


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
            _copy(chunks, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            _keep(chunks, Path(file))


def import_store(
    file: Annotated[str, typer.Argument(help="What export wrote; - for standard input.", metavar="FILE")],
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Read everything that an export holds into a store that is empty."""
    from gateway.cli.admin_client import Body, admin_client

    with _opened(file) as lines, admin_client(context) as client:
        answer = client.send("POST", "/import", body=Body(content=_pieces(lines), media_type=_MEDIA_TYPE), wait=570.0)
    show(answer, output, lambda _: [plain(f"{name}: {count}") for name, count in answer["counts"].items()])


def _keep(chunks: Iterable[bytes], path: Path) -> None:
    from servicekit.private_file import replacing

    try:
        with replacing(path) as file:
            _copy(chunks, file)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _copy(chunks: Iterable[bytes], to: BinaryIO) -> None:
    """Copy an export.

    Raises:
        CommandError: its end is missing.
        OSError: it cannot be written.
    """
    tail = b""
    for chunk in chunks:
        tail = (tail + chunk)[-_LAST_LINE:]
        to.write(chunk)
    if not ends_whole(tail):
        raise CommandError("the export broke off: what came is not whole")


def ends_whole(tail: bytes) -> bool:
    """Whether the last line of an export says that it is the last."""
    if not tail.endswith(b"\n"):
        return False
    try:
        last = json.loads(tail[:-1].rpartition(b"\n")[2])
    except (ValueError, RecursionError):
        return False
    return isinstance(last, dict) and last.get("kind") == "end"


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if name == _STANDARD else Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
