"""``gateway openapi``: routes from an OpenAPI description."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.errors import CommandError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(openapi)


def openapi(
    file: Annotated[str, typer.Argument(help="The description, or - for standard input.", metavar="FILE")],
    upstream: Annotated[str, typer.Option(help="The upstream that serves it.")],
    authenticate: Annotated[
        list[str] | None,
        typer.Option(help="A provider for operations with security requirements; may be given several times."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Begins every path, instead of the path of the first server's URL.")
    ] = None,
) -> None:
    """Print a route for every operation of an OpenAPI description (3.0 or 3.1), to be put into a document.

    Templated segments become regular expressions, and concrete paths come first. Exits with 1 if an operation cannot
    be a route.
    """
    import yaml

    from controlplane.config import ConfigError
    from controlplane.config.openapi import Target, routes_of
    from gateway.cli.document_file import mistake_lines, read_document
    from gateway.cli.verdict import mistake_of

    document = read_document(file)
    target = Target(upstream=upstream, authenticate=tuple(authenticate or ()), prefix=prefix)
    try:
        routes = routes_of(document.text, origin=document.name, target=target)
    except ConfigError as error:
        for line in mistake_lines(document, [mistake_of(problem, document.name) for problem in error.problems]):
            typer.echo(line, err=True)
        raise CommandError(f"{file}: no routes are printed") from error
    typer.echo(yaml.safe_dump({"routes": routes}, sort_keys=False, default_flow_style=None, width=120), nl=False)
