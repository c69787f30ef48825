"""What a command shows: to people, or to programs as JSON or YAML. Nothing in it can steer a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.errors import CommandError

_NOT_A_TERMINAL = 10_000
"""Columns: where nobody looks, no cell is folded, so that ``grep`` finds what it looks for."""


class Output(StrEnum):
    """Who reads the answer."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


Format = Annotated[Output, typer.Option("--output", "-o", help="For people, or for programs.")]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table for people. Cells pass :func:`plain`."""

    titles: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = ""
    """What is said in place of a table without rows."""
    more: str = ""
    """What is said below it: where the next page is."""


Text = Iterable[str] | Rows
"""What people get: lines that :func:`plain` has made harmless, or a table."""


def show(value: Any, output: Output, text: Callable[[Any], Text]) -> None:
    """Print an answer: ``text`` makes it readable; programs get it as it is.

    Raises:
        CommandError: it has not the shape that ``text`` knows.
    """
    if output is Output.JSON:
        typer.echo(as_json(value))
    elif output is Output.YAML:
        typer.echo(as_yaml(value), nl=False)
    else:
        with understood():
            made = text(value)
            shown = made if isinstance(made, Rows) else list(made)
        print_text(shown)


@contextmanager
def understood() -> Iterator[None]:
    """Around reading an answer.

    Raises:
        CommandError: it has another shape than that of this version.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise CommandError("this is no answer that is known here: the gateway may be of another version") from error


def print_text(text: Text) -> None:
    """Print lines or a table to standard output."""
    if not isinstance(text, Rows):
        for line in text:
            typer.echo(line)
        return
    if text.rows:
        _print_table(text)
    elif text.empty:
        typer.echo(text.empty)
    if text.more:
        typer.echo(plain(text.more))


def print_document(text: str) -> None:
    """Print a document as it was written, so that it can be applied again; on a terminal, harmless to it."""
    if sys.stdout.isatty():
        text = "".join(one if one.isprintable() or one in "\n\t" else " " for one in text)
    text = text.encode(errors="replace").decode()  # JSON may hold what UTF-8 cannot
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def plain(value: object) -> str:
    """Text that cannot move the cursor of a terminal; nothing for ``None``."""
    return "" if value is None else "".join(one if one.isprintable() else " " for one in str(value))


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON in which every character that a terminal could act on is escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(one if one.isprintable() or one == "\n" else _escape(one) for one in text)


def as_yaml(value: Any) -> str:
    """YAML in ASCII."""
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=False))


def _escape(character: str) -> str:
    # Outside strings JSON has printable characters and line feeds only, so this stands in a string.
    return json.dumps(character)[1:-1]


def _print_table(text: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Cell

    table = Table(box=None, pad_edge=False)
    for title in text.titles:
        table.add_column(title, overflow="fold")
    for row in text.rows:
        table.add_row(*(Cell(plain(cell)) for cell in row))  # Cell: a value with brackets is no markup
    console = Console()
    if not console.is_terminal:
        console = Console(width=_NOT_A_TERMINAL)
    console.print(table)
