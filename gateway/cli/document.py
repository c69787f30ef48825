"""``gateway validate`` and ``gateway schema``: the document, checked and described."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import ContextName, DocumentFile
from gateway.cli.output import Format, Output, show


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(validate)
    app.command()(schema)


def validate(
    file: DocumentFile,
    remote: Annotated[
        bool, typer.Option("--remote", help="Let the admin API check it: with its Envoy, and its own settings.")
    ] = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Check a document: every mistake with its line and column. Exits with 1 if there is one."""
    from gateway.cli.verdict import ask, check, for_people, for_programs

    verdict = ask(file, context) if remote or context is not None else check(file)
    show(for_programs(verdict), output, lambda _: for_people(verdict))
    if verdict.counts is None:
        raise typer.Exit(1)


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as a page for people.")] = False,
) -> None:
    """Print the JSON Schema of the document. With it editors complete and check what is written."""
    import json

    from controlplane.config import json_schema
    from controlplane.config.markdown import reference

    typer.echo(reference() if markdown else json.dumps(json_schema(), indent=2, ensure_ascii=False), nl=not markdown)
