"""``gateway up``: the whole gateway on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)


def up(
    file: Annotated[
        Path | None,
        typer.Argument(help="The document; without one everything goes to GATEWAY_BACKEND_URL.", metavar="FILE"),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="A small backend and a small identity provider, too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Don't print the processes' logs.")] = False,
    log_file: Annotated[
        Path | None, typer.Option(help="Append the processes' logs to this file instead of printing them.")
    ] = None,
) -> None:
    """Run the whole gateway on this machine, until Ctrl-C.

    Control plane, ext_authz, rate limiter, response cache, telemetry, Envoy, and a Valkey unless GATEWAY_REDIS_URL
    names a Redis: each its own process, restarted when it dies. Their logs (JSON lines) go to standard output, what is
    said to you to standard error.
    """
    import asyncio

    from gateway.up.runner import Options, run_up
    from gateway.up.settings import UpSettings
    from servicekit.settings import load_settings

    settings = load_settings(UpSettings, document=file)
    asyncio.run(run_up(settings, Options(demo=demo, quiet=quiet, log_file=log_file)))
