"""``gateway nodes``: who is connected to the control plane, and whether each has what is live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, Rows, plain, show


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Show who is connected, and whether each has what is live.", invoke_without_command=True)
    group.callback()(nodes)
    group.command("show")(show_node)
    app.add_typer(group, name="nodes")


def nodes(
    asked: typer.Context,
    group: Annotated[str | None, typer.Option(help="Only this node group.")] = None,
    connected: Annotated[
        bool | None, typer.Option("--connected/--gone", help="Only those that are connected, or those that are not.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 1000,
    after: Annotated[str | None, typer.Option(help="Only ids that come after this one.", metavar="ID")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Show who is connected, and whether each has what is live."""
    from gateway.cli.admin_client import admin_client

    if asked.invoked_subcommand is not None:
        return
    query = {"group": group, "connected": connected, "limit": limit, "after": after}
    with admin_client(context) as client:
        show(client.get("/nodes", query), output, _table)


def show_node(
    node_id: Annotated[str, typer.Argument(help="The id of a node.", metavar="ID")],
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Show one node: what it should have and what it has of each type, and what it refused, when, in which words."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        show(client.get(path_to("nodes", node_id)), output, _lines)


def _table(found: list[dict[str, Any]]) -> Rows:
    rows = [
        (
            node["id"],
            node["group"],
            node["user_agent"],
            _when(node["connected_since"]),
            _state(node),
        )
        for node in found
    ]
    return Rows(("node", "group", "software", "connected since", "has what is live"), rows, empty="no nodes")


def _state(node: dict[str, Any]) -> str:
    if node.get("disconnected_at"):
        return f"gone since {_when(node['disconnected_at'])}"
    said = [text for one in node["types"] if (text := _missing(one))]
    return "; ".join(said) or "yes"


def _missing(one: dict[str, Any]) -> str:
    """Why a node does not have what it should of one type; empty when it has."""
    if one["refused"]:
        return f"refuses {_kind(one)}: {one['refused']}"
    return "" if one["synced"] else f"{_kind(one)}: not yet"


def _lines(node: dict[str, Any]) -> Iterable[str]:
    for name, value in node.items():
        if name != "types" and value is not None:
            yield plain(f"{name.replace('_', ' ')}: {_when(value) if name.endswith(('_at', '_since')) else value}")
    for one in node["types"]:
        yield plain(f"{_kind(one)}: {_drift(one)}")
        for name, value in one.items():
            if name not in {"type_url", "synced"} and value not in (None, "", False):
                yield plain(f"    {name.replace('_', ' ')}: {value}")


def _drift(one: dict[str, Any]) -> str:
    if one["refused"]:
        return "refused"
    return "has what it should" if one["synced"] else "has not what it should"


def _kind(one: dict[str, Any]) -> str:
    return str(one["type_url"]).rpartition(".")[2]


def _when(moment: object) -> str:
    return plain(moment).partition(".")[0].removesuffix("Z")
