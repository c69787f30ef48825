"""``gateway log``, ``gateway show``, ``gateway diff`` and ``gateway rollback``: the history."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.options import ContextName, DryRun, IfMatch, Limit, Message, Number, Timeout
from gateway.cli.output import Format, Output, Rows, print_document, show, understood

_COLUMNS = ("number", "created_at", "outcome", "author", "origin", "message")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (log, diff, rollback):
        app.command()(command)
    app.command("show")(show_revision)


def log(
    limit: Limit = 20,
    before: Annotated[int | None, typer.Option(help="Only revisions below this number.", min=1)] = None,
    author: Annotated[str | None, typer.Option(help="Only this author's.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only those that ended so, as in refused.")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """List the revisions of the document, newest first."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        page = client.get("/revisions", {"limit": limit, "before": before, "author": author, "outcome": outcome})
    show(page, output, _table)


def show_revision(
    number: Annotated[
        int | None, typer.Argument(help="The number of a revision; without one, what is live.", metavar="N", min=1)
    ] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Print the document of one revision as it was written; without a number, the one that is live."""
    from gateway.cli.admin_client import YAML, admin_client, path_to

    with admin_client(context) as client:
        if number is not None:
            revision = client.get(path_to("revisions", number))
            if output is Output.TEXT:
                with understood():
                    text = str(revision["text"])
                print_document(text)
            else:
                show(revision, output, lambda _: ())
        elif output is Output.TEXT:
            print_document(client.text("/document", accept=YAML))
        else:
            show(client.get("/document"), output, lambda _: ())


def diff(
    before: Annotated[int, typer.Argument(help="The number of the older revision.", metavar="A", min=1)],
    after: Annotated[int, typer.Argument(help="The number of the newer one.", metavar="B", min=1)],
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Say what changes from one revision to another.

    What the documents mean, and which xDS resources differ.
    """
    from gateway.cli.admin_client import admin_client, path_to
    from gateway.cli.changes import difference_lines

    with admin_client(context) as client:
        show(client.get(path_to("revisions", before, "diff"), {"to": after}), output, difference_lines)


def rollback(
    number: Number,
    message: Message = None,
    timeout: Timeout = "30s",
    if_match: IfMatch = None,
    dry_run: DryRun = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Bring the document of an earlier revision live again, as a new revision. Waits and exits like apply."""
    from gateway.cli.admin_client import path_to
    from gateway.cli.outcome import show_outcome
    from gateway.cli.writing import Write, perform

    write = Write(
        method="POST",
        path=path_to("revisions", number, "rollback"),
        message=message,
        timeout=timeout,
        if_match=if_match,
        dry_run=dry_run,
    )
    show_outcome(perform(write, context), output, waited=write.seconds > 0)


def _table(page: dict[str, Any]) -> Rows:
    rows = [[one[name] for name in _COLUMNS] for one in page["items"]]
    more = "" if page["before"] is None else f"older ones: gateway log --before {page['before']}"
    return Rows(("number", "when", *_COLUMNS[2:]), rows, empty="no revisions", more=more)
