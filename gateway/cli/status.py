"""``gateway status`` and ``gateway whoami``: what is live, and who asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, plain, show, understood


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(status)
    app.command()(whoami)


def status(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Show what is live since when, and why the newest document is not if it was refused."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        show(client.get("/status"), output, _status_lines)


def whoami(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Show which gateway is asked, and as whom: name, role and scopes of the token."""
    from gateway.cli.admin_client import AdminClient
    from gateway.cli.target import find_target

    target = find_target(context)
    client = AdminClient(target)
    try:
        answer = client.get("/whoami")
    finally:
        client.close()
    with understood():
        answer = {"gateway": target.url, "chosen_by": target.origin, **answer}
    show(answer, output, _lines)


def _status_lines(answer: dict[str, Any]) -> Iterable[str]:
    yield from _lines({name: value for name, value in answer.items() if name != "refused"})
    for problem in answer.get("refused") or ():
        yield plain(f"refused: {problem.get('where') or ''}: {problem['message']}")


def _lines(answer: dict[str, Any]) -> Iterable[str]:
    for name, value in answer.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if value not in (None, "", []):
            yield plain(f"{name.replace('_', ' ')}: {shown}")
