"""``gateway rollout``: how far the newest document has come, and the end of a canary by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, plain, show

_LISTED = 20
"""Nodes and resources that are named."""


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
        show(client.get("/rollout"), output, _lines)


def promote(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """End a canary: every node gets what its nodes have."""
    _end("promote", context, output)


def abort(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """End a canary: its nodes go back to what all others have."""
    _end("abort", context, output)


def _end(how: str, context: str | None, output: Output) -> None:
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        show(client.send("POST", path_to("rollout", how)), output, _lines)


def _lines(state: dict[str, Any]) -> Iterable[str]:
    if not state["groups"]:
        yield "nothing is live yet"
    for group in state["groups"]:
        yield from _group_lines(group)


def _group_lines(group: dict[str, Any]) -> Iterable[str]:
    versions = group["live"] if group["live"] == group["desired"] else f"{group['live']}, wanted {group['desired']}"
    yield plain(f"{group['name']}: {versions or 'nothing'}")
    yield from (plain(f"    {node} refuses it: {words}") for node, words in group["refused"].items())
    yield from (plain(f"    {node} has not answered") for node in group["waiting"][:_LISTED])
    if len(group["waiting"]) > _LISTED:
        yield f"    and {len(group['waiting']) - _LISTED} more have not answered"
    if reason := group["rolled_back"]:
        by = f" by {reason['node']}" if reason["node"] else ""
        yield plain(f"    rolled back at {reason['at']}{by}: {reason['why']}")
        yield from (plain(f"      {name}") for name in reason["resources"][:_LISTED])
    if canary := group["canary"]:
        why = f" ({canary['why']})" if canary["why"] else ""
        yield plain(
            f"    canary {canary['phase']}{why}: {len(canary['nodes'])} nodes, "
            f"{canary['requests']} requests, {canary['errors']} errors"
        )
