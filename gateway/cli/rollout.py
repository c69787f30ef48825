"""``gateway rollout``: how far the newest document has come, and the end of a canary by hand."""

from __future__ import annotations

import json
from typing import Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, Rows, plain, show


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="Show what each node group has, and what it is to have; promote or abort a canary.",
        invoke_without_command=True,
    )
    group.callback()(rollout)
    group.command()(promote)
    group.command()(abort)
    app.add_typer(group, name="rollout")


def rollout(asked: typer.Context, context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Show what each node group has, and what it is to have; promote or abort a canary."""
    from gateway.cli.admin_client import admin_client

    if asked.invoked_subcommand is not None:
        return
    with admin_client(context) as client:
        show(client.get("/rollout"), output, _table)


def promote(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """End a canary: every node gets what its nodes have."""
    _end("promote", context, output)


def abort(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """End a canary: its nodes go back to what all others have."""
    _end("abort", context, output)


def _end(how: str, context: str | None, output: Output) -> None:
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        show(client.send("POST", path_to("rollout", how)), output, _table)


def _table(state: Any) -> Rows:
    """Whatever a group says of itself is a column."""
    groups = state["groups"] if isinstance(state, dict) else state
    titles = list(dict.fromkeys(name for group in groups for name in group))
    rows = [[_cell(group.get(name)) for name in titles] for group in groups]
    return Rows([name.replace("_", " ") for name in titles], rows, empty="nothing is live yet")


def _cell(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else plain(value)
