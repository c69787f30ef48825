"""A document to be sent: read from a file, a folder or standard input, and its mistakes shown where they stand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from controlplane.config.parts import split_parts
from controlplane.config.yaml_text import LINE_BREAK, MAX_BYTES
from controlplane.sources.file import read_source
from gateway.cli.admin_client import YAML, Body
from gateway.cli.output import plain
from gateway.cli.refusals import Mistake, RefusedError
from gateway.errors import CommandError

STANDARD_INPUT = "-"
_WIDEST = 160


class UnreadableError(CommandError):
    """The document cannot be read."""

    def __init__(self, name: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{name}: {reason}")


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """What was read."""

    name: str
    """As it was written on the command line."""
    text: bytes

    @property
    def body(self) -> Body:
        """As it is sent: JSON is YAML."""
        return Body(content=self.text, media_type=YAML)

    def file_of(self, mistake: Mistake) -> str:
        """The name of the file that a mistake stands in; empty when it stands in none."""
        if mistake.file is None:
            return ""
        return f"{self.name}/{mistake.file}" if mistake.file else self.name

    def text_of(self, file: str) -> bytes:
        """The text of one file of a folder, or the whole."""
        return split_parts(self.text).get(file, b"") if file else self.text


def read_document(name: str) -> DocumentFile:
    """Read a file, the files of a folder, or (``-``) standard input.

    Raises:
        UnreadableError: that is not possible.
    """
    if name == STANDARD_INPUT:
        return DocumentFile("<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1))
    found = read_source(Path(name))
    if isinstance(found, str):
        raise UnreadableError(name, found)
    return DocumentFile(name, found)


@contextmanager
def mistakes_shown(
    document: DocumentFile, located: Callable[[Mistake], Mistake] = lambda mistake: mistake
) -> Iterator[None]:
    """Print the mistakes that the admin API finds in ``document``, each with its line.

    Args:
        document: what was sent.
        located: gives a mistake its place in ``document``, where the API can't know it.

    Raises:
        CommandError: there were any; it says what that means.
    """
    try:
        yield
    except RefusedError as error:
        if not error.mistakes:
            raise
        for line in mistake_lines(document, map(located, error.mistakes)):
            typer.echo(line, err=True)
        raise CommandError(f"{error.detail.removesuffix('.')}: nothing has changed") from error


def mistake_lines(document: DocumentFile, mistakes: Iterable[Mistake]) -> Iterable[str]:
    """``file:line:column: message``, then the line at fault and a caret below the column."""
    lines: dict[str, list[str]] = {}
    for mistake in mistakes:
        name = document.file_of(mistake)
        message = plain(f"{mistake.message} ({mistake.hint})" if mistake.hint else mistake.message)
        if mistake.file is None or mistake.line is None or mistake.column is None:
            yield plain(": ".join(part for part in (name, mistake.path, message) if part))
            continue
        yield plain(f"{name}:{mistake.line}:{mistake.column}: {message}")
        if mistake.file not in lines:
            text = document.text_of(mistake.file).decode("utf-8-sig", errors="replace")
            lines[mistake.file] = LINE_BREAK.split(text)
        yield from _excerpt(lines[mistake.file], mistake.line, mistake.column)


def _excerpt(lines: list[str], line: int, column: int) -> Iterable[str]:
    if line > len(lines):
        return
    text = plain(lines[line - 1])
    begin = max(0, column - _WIDEST // 2) if len(text) > _WIDEST else 0
    if column - 1 - begin > _WIDEST:
        return  # another text than the one at hand
    yield f"    {text[begin : begin + _WIDEST]}"
    yield f"    {' ' * (column - 1 - begin)}^"
