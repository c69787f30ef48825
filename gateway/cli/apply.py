"""``gateway apply`` and ``gateway plan``: a whole document, brought live or only compared."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import ContextName, DocumentFile, DryRun, IfMatch, Message, Timeout
from gateway.cli.output import Format, Output

CHANGES = 3
"""The exit code of ``plan --exit-code`` when there are changes."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(apply)
    app.command()(plan)


def apply(
    file: DocumentFile,
    message: Message = None,
    timeout: Timeout = "30s",
    if_match: IfMatch = None,
    dry_run: DryRun = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Bring a document live, and wait until every connected node has it.

    Exits with 0 when all have acknowledged it, with 1 when it was refused, rolled back or not acknowledged in time:
    then it says by whom, and in which words.
    """
    from gateway.cli.document_file import mistakes_shown, read_document
    from gateway.cli.outcome import show_outcome
    from gateway.cli.writing import Write, perform

    document = read_document(file)
    write = Write(
        method="PUT",
        path="/document",
        body=document.body,
        message=message,
        timeout=timeout,
        if_match=if_match,
        dry_run=dry_run,
    )
    with mistakes_shown(document):
        answer = perform(write, context)
    show_outcome(answer, output, waited=write.seconds > 0)


def plan(
    file: DocumentFile,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when there are changes.")] = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Say what a document would change: in its own words, and in what each node group gets. Nothing goes live."""
    from gateway.cli.admin_client import admin_client
    from gateway.cli.changes import difference_lines, has_changes
    from gateway.cli.document_file import mistakes_shown, read_document
    from gateway.cli.output import show, understood

    document = read_document(file)
    with mistakes_shown(document), admin_client(context) as client:
        answer = client.send("POST", "/plan", body=document.body)
    with understood():
        changes = has_changes(answer)
    show(answer, output, difference_lines)
    if exit_code and changes:
        raise typer.Exit(CHANGES)
