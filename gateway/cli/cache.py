"""``gateway cache``: kept answers."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, plain, show, understood


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Forget kept answers.", no_args_is_help=True)
    group.callback()(_alone)
    group.command()(purge)
    app.add_typer(group, name="cache")


def _alone() -> None:
    """Typer takes a group of one command for that command."""


def purge(
    route: Annotated[str | None, typer.Option(help="All of this route.", metavar="NAME")] = None,
    path_prefix: Annotated[
        str | None, typer.Option(help="All at this path and below it, in whole segments; / is all.", metavar="PATH")
    ] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Forget kept answers: within a second no cache gives them any more."""
    from gateway.cli.admin_client import Body, admin_client

    if (route is None) == (path_prefix is None):
        raise typer.BadParameter("give either --route or --path-prefix")
    asked = {"route": route} if route is not None else {"path_prefix": path_prefix}
    with admin_client(context) as client:
        made = client.send("POST", "/cache/purge", body=Body.of(asked))
    with understood():
        named = plain(made["id"])
    what = f"route {plain(route)}" if route is not None else f"{plain(path_prefix)} and below"
    show(made, output, lambda _: [f"{named}: answers of {what} are forgotten"])
