"""``gateway discovery``: the lists of endpoints that are kept elsewhere, and what was found in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, Rows, plain, show


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    meaning = "Show the lists that endpoints come from, and how old each is."
    group = typer.Typer(help=meaning, invoke_without_command=True)
    group.callback()(lists)
    group.command("show")(show_list)
    app.add_typer(group, name="discovery")


def lists(asked: typer.Context, context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Show the lists that endpoints come from, and how old each is."""
    from gateway.cli.admin_client import admin_client

    if asked.invoked_subcommand is not None:
        return
    with admin_client(context) as client:
        show(client.get("/discovery"), output, _table)


def show_list(
    upstream: Annotated[str, typer.Argument(help="The name of an upstream.", metavar="UPSTREAM")],
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Show one list, with the endpoints that are live because of it."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        show(client.get(path_to("discovery", upstream)), output, _lines)


def _table(found: list[dict[str, Any]]) -> Rows:
    rows = [
        (one["upstream"], one["kind"], str(one["endpoints"]), _when(one["good_at"]), one["error"] or "good")
        for one in found
    ]
    return Rows(("upstream", "list", "endpoints", "last good", "is"), rows, empty="no lists of endpoints")


def _lines(one: dict[str, Any]) -> Iterable[str]:
    for name, value in one.items():
        if name != "found" and value is not None:
            shown = _when(value) if name.endswith(("_at", "_since")) else value
            yield plain(f"{name.replace('_', ' ')}: {shown}")
    for each in one["found"]:
        host = f"[{each['host']}]" if ":" in each["host"] else each["host"]
        labels = "".join(f" {name}={value}" for name, value in each["labels"].items())
        yield plain(f"    {host}:{each['port']} weight {each['weight']} priority {each['priority']}{labels}")


def _when(moment: object) -> str:
    return "never" if moment is None else plain(moment).partition(".")[0].removesuffix("Z")
