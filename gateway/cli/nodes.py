"""``gateway nodes``: who is connected to the control plane, and whether each has what is live."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.admin_client import Format, Output, get, plain, print_json


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(nodes)


def nodes(output: Format = Output.TEXT) -> None:
    """Show who is connected, and whether each has what is live."""
    connected = get("/nodes")
    if output is Output.JSON:
        print_json(connected)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("node", "group", "software", "connected since", "has what is live"):
        table.add_column(title, overflow="fold")
    for node in connected:
        since = node["connected_since"].partition(".")[0]
        cells = (node["id"], node["group"], node["user_agent"], since, _state(node))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    Console().print(table)


def _state(node: dict[str, Any]) -> str:
    said = [text for one in node["types"] if (text := _missing(one))]
    return "; ".join(said) or "yes"


def _missing(one: dict[str, Any]) -> str:
    """Why a node does not have what it should of one type; empty when it has."""
    name = one["type_url"].rpartition(".")[2]
    if one["refused"]:
        return f"refuses {name}: {one['refused']}"
    return "" if one["synced"] else f"{name}: not yet"
