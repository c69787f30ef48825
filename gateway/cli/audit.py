"""``gateway audit``: who changed what, and whether the log of that is whole."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.options import ContextName, Limit
from gateway.cli.output import Format, Output, Rows, plain, show, understood


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Show the audit log, or verify that nobody has changed it.", no_args_is_help=True)
    group.command()(log)
    group.command()(verify)
    app.add_typer(group, name="audit")


def log(
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="Only entries below this number.", min=1)] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """List what was written through the admin API, by whom and from where, newest first."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        page = client.get("/audit", {"limit": limit, "before": before})
    show(page, output, _table)


def verify(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Verify the hash chain of the audit log. Exits with 1 when an entry was changed, removed or put in."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        verdict = client.get("/audit/verify")
    with understood():
        whole = verdict["whole"] is True
    show(verdict, output, lambda _: [plain(f"{verdict['count']} entries: {_said(verdict)}")])
    if not whole:
        raise typer.Exit(1)


def _said(verdict: dict[str, Any]) -> str:
    return "the chain is whole" if verdict["whole"] is True else f"the chain is broken at entry {verdict['first_bad']}"


def _table(page: dict[str, Any]) -> Rows:
    names = ("number", "at", "actor", "address", "action", "target", "detail")
    rows = [[_cell(one[name]) for name in names] for one in page["items"]]
    more = "" if page["before"] is None else f"older ones: gateway audit log --before {page['before']}"
    return Rows(names, rows, empty="no entries", more=more)


def _cell(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else plain(value)
