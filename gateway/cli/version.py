"""``gateway version``."""

from __future__ import annotations

from importlib.metadata import version as version_of

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(version)


def version() -> None:
    """Print the version."""
    typer.echo(version_of("api-gateway"))
