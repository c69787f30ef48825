"""``gateway get | put | patch | delete``: one part of the document, by its kind and its name."""

from __future__ import annotations

import json
from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import ContextName, DryRun, IfMatch, Limit, Message, Timeout
from gateway.cli.output import Format, Output, Rows, as_yaml, show

if TYPE_CHECKING:
    from gateway.cli.part_file import PartFile
    from gateway.cli.writing import Write


class Kind(StrEnum):
    """A section of the document."""

    LISTENERS = "listeners"
    UPSTREAMS = "upstreams"
    ROUTES = "routes"
    AUTHENTICATION = "authentication"
    RATE_LIMITS = "rate-limits"
    NODE_GROUPS = "node-groups"

    @property
    def segment(self) -> str:
        """How the API spells it."""
        return self.value.replace("-", "_")


KindArgument = Annotated[Kind, typer.Argument(help="Which part of the document.", metavar="KIND")]
Name = Annotated[str, typer.Argument(help="Its name.", metavar="NAME")]
PartName = Annotated[
    str, typer.Option("--file", "-f", help="YAML or JSON: a file, or - for standard input.", metavar="FILE")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (get, put, patch, delete):
        app.command()(command)


def get(
    kind: KindArgument,
    name: Annotated[str | None, typer.Argument(help="Only the one of this name, whole.", metavar="NAME")] = None,
    limit: Limit = 100,
    after: Annotated[str | None, typer.Option(help="Begin after this name.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-q", help="Only names that contain this, whatever the case.")
    ] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Show the parts of the document that is live, or one of them.

    KIND is listeners, upstreams, routes, authentication, rate-limits or node-groups. What is shown of one can be
    changed and given to put.
    """
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        if name is not None:
            show(client.get(path_to(kind.segment, name)), output, lambda part: as_yaml(part).splitlines())
            return
        page = client.get(path_to(kind.segment), {"limit": limit, "after": after, "q": search})
    show(page, output, lambda _: _table(page, kind))


def put(
    kind: KindArgument,
    name: Name,
    file: PartName,
    position: Annotated[
        int | None, typer.Option(help="Where a new one goes in the list, from 0: routes are tried in order.", min=0)
    ] = None,
    before: Annotated[str | None, typer.Option(help="Put a new one before the one of this name.")] = None,
    message: Message = None,
    timeout: Timeout = "30s",
    if_match: IfMatch = None,
    dry_run: DryRun = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Add one part to the live document, or replace it. Everything else stays as it is written, comments too."""
    from gateway.cli.admin_client import path_to
    from gateway.cli.part_file import read_part
    from gateway.cli.writing import Write

    part = read_part(file)
    write = Write(
        method="PUT",
        path=path_to(kind.segment, name),
        body=part.body(),
        query={"position": position, "before": before},
        message=message,
        timeout=timeout,
        if_match=if_match,
        dry_run=dry_run,
    )
    _perform(write, part, context, output)


def patch(
    kind: KindArgument,
    name: Name,
    file: PartName,
    message: Message = None,
    timeout: Timeout = "30s",
    if_match: IfMatch = None,
    dry_run: DryRun = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Change some values of one part of the live document: null removes one (RFC 7396)."""
    from gateway.cli.admin_client import MERGE_PATCH, path_to
    from gateway.cli.part_file import read_part
    from gateway.cli.writing import Write

    part = read_part(file, nulls=True)
    write = Write(
        method="PATCH",
        path=path_to(kind.segment, name),
        body=part.body(MERGE_PATCH),
        message=message,
        timeout=timeout,
        if_match=if_match,
        dry_run=dry_run,
    )
    _perform(write, part, context, output)


def delete(
    kind: KindArgument,
    name: Name,
    message: Message = None,
    timeout: Timeout = "30s",
    if_match: IfMatch = None,
    dry_run: DryRun = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Take one part out of the live document."""
    from gateway.cli.admin_client import path_to
    from gateway.cli.writing import Write

    write = Write(
        method="DELETE",
        path=path_to(kind.segment, name),
        message=message,
        timeout=timeout,
        if_match=if_match,
        dry_run=dry_run,
    )
    _perform(write, None, context, output)


def _perform(write: Write, part: PartFile | None, context: str | None, output: Output) -> None:
    from gateway.cli.document_file import mistakes_shown
    from gateway.cli.outcome import show_outcome
    from gateway.cli.writing import perform

    with mistakes_shown(part.file, part.located) if part is not None else nullcontext():
        answer = perform(write, context)
    show_outcome(answer, output, waited=write.seconds > 0)


def _table(page: dict[str, Any], kind: Kind) -> Rows:
    rows = [(one["name"], json.dumps(one["value"], ensure_ascii=False)) for one in page["items"]]
    more = "" if page["after"] is None else f"more: gateway get {kind} --after {page['after']}"
    return Rows(("name", "as it is written"), rows, empty=f"no {kind}", more=more)
