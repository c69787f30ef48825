"""``gateway settings``: what every process was told, and by whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import Format, Output, show
from gateway.errors import CommandError
from gateway.roles import ROLES

if TYPE_CHECKING:
    from servicekit.settings import Setting


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(settings)


def settings(
    role: Annotated[str | None, typer.Option(help="Only the settings of this process.")] = None,
    output: Format = Output.TEXT,
) -> None:
    """Show every process setting: its value, where it came from, its meaning.

    The environment wins over the file .env in the working directory, which wins over the default. Secrets are masked.
    """
    rows = _rows(role)
    if output is Output.TEXT:
        _print_table(rows)
    else:
        show([_for_programs(setting, roles) for setting, roles in rows], output, lambda _: ())


def _rows(role: str | None) -> list[tuple[Setting, list[str]]]:
    """Each setting with the processes that it is one of; those with one meaning and value once."""
    from servicekit.settings import describe_settings, load_settings

    names = [one.name for one in ROLES]
    if role is not None and role not in names:
        raise CommandError(f"there is no role {role!r}: there are {', '.join(names)}")
    rows: dict[Setting, list[str]] = {}
    for one in ROLES:
        if role in (None, one.name):
            for setting in describe_settings(load_settings(one.load_settings_class())):
                rows.setdefault(setting, []).append(one.name)
    return sorted(rows.items(), key=lambda row: row[0].variable)


def _for_programs(setting: Setting, roles: list[str]) -> dict[str, object]:
    return {
        "variable": setting.variable,
        "value": setting.value,
        "source": setting.source,
        "meaning": setting.meaning,
        "roles": roles,
    }


def _print_table(rows: Iterable[tuple[Setting, list[str]]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title, cut in (("setting", False), ("value", True), ("from", False), ("process", True), ("meaning", True)):
        table.add_column(title, no_wrap=not cut, overflow="fold")  # a name or a source that is cut is of no use
    for setting, roles in rows:
        cells = (setting.variable, setting.value, setting.source, ", ".join(roles), setting.meaning)
        table.add_row(*(Text(cell) for cell in cells))  # Text: a value with brackets is no markup
    Console(soft_wrap=False).print(table)
