"""``gateway log``, ``gateway show`` and ``gateway diff``: the history, from the admin API."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.admin_client import Format, Output, get, plain, print_json

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


Number = Annotated[int, typer.Argument(help="The number of a revision.", min=1)]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(log)
    app.command()(show)
    app.command()(diff)


def log(
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=200)] = 20,
    before: Annotated[int | None, typer.Option(help="Only revisions below this number.", min=1)] = None,
    output: Format = Output.TEXT,
) -> None:
    """List the revisions of the document, newest first."""
    page = get("/revisions", limit=limit, **({} if before is None else {"before": before}))
    if output is Output.JSON:
        print_json(page)
        return
    table = Table("number", "when", "outcome", "author", "origin", "message", box=None, pad_edge=False)
    for one in page["items"]:
        table.add_row(
            *(plain(one[name]) for name in ("number", "created_at", "outcome", "author", "origin", "message"))
        )
    Console(markup=False, highlight=False, soft_wrap=True).print(table)
    if page["before"] is not None:
        typer.echo(f"older ones: gateway log --before {page['before']}")


def show(number: Number, output: Format = Output.TEXT) -> None:
    """Print the document of one revision as it was written."""
    revision = get(f"/revisions/{number}")
    if output is Output.JSON:
        print_json(revision)
    else:
        typer.echo(revision["text"], nl=not revision["text"].endswith("\n"))


def diff(
    before: Annotated[int, typer.Argument(help="The number of the older revision.", metavar="A", min=1)],
    after: Annotated[int, typer.Argument(help="The number of the newer one.", metavar="B", min=1)],
    output: Format = Output.TEXT,
) -> None:
    """Say what changes from one revision to another.

    What the documents mean, and which xDS resources differ.
    """
    difference = get(f"/revisions/{before}/diff", to=after)
    if output is Output.JSON:
        print_json(difference)
    else:
        typer.echo("\n".join(_lines(difference)))


def _lines(difference: dict[str, Any]) -> Iterable[str]:
    if not difference["changes"] and not difference["resources"]:
        yield "no difference in meaning"
    for change in difference["changes"]:
        yield plain(f"{_MARKS[change['kind']]} {change['section']} {change['name']}")
        for field in change["fields"]:
            yield plain(f"    {field['path']}: {_value(field['before'])} -> {_value(field['after'])}")
    for resources in difference["resources"]:
        yield plain(f"xDS {resources['type_url'].rpartition('/')[2]}")
        for kind, mark in _MARKS.items():
            yield from (plain(f"    {mark} {name}") for name in resources[kind])


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
