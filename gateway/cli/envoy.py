"""``gateway envoy`` and ``gateway bootstrap``: the data plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.errors import CommandError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(envoy)
    app.command()(bootstrap)


def envoy(
    bootstrap: Annotated[
        Path | None, typer.Option(help="A bootstrap to use as it is, in place of the one that the settings give.")
    ] = None,
) -> None:
    """Run Envoy with the bootstrap that the settings give.

    On SIGTERM it fails its health check, drains, and stops within GATEWAY_DRAIN_SECONDS.
    """
    import asyncio

    from gateway.envoy_process import EnvoyProcessSettings, run_envoy
    from servicekit.settings import load_settings

    asyncio.run(run_envoy(load_settings(EnvoyProcessSettings), bootstrap=bootstrap))


def bootstrap(
    output: Annotated[Path | None, typer.Option(help="Write it to this file instead.")] = None,
) -> None:
    """Print Envoy's bootstrap, for an Envoy that you run yourself.

    Written to a file, it has two files beside it when GATEWAY_TLS_DIR is set, by which Envoy follows new certificates;
    a printed one reads them once.
    """
    from gateway.bootstrap import render_bootstrap
    from gateway.bootstrap_tls import SecretFiles
    from gateway.envoy_settings import EnvoySettings
    from servicekit.settings import load_settings

    settings = load_settings(EnvoySettings)
    if output is None:
        typer.echo(render_bootstrap(settings), nl=False)
        return
    secrets = SecretFiles.beside(output) if settings.tls_dir is not None else None
    text = render_bootstrap(settings, secrets=secrets)
    try:
        if secrets is not None and settings.tls_dir is not None:
            secrets.write(settings.tls_dir)
        output.write_text(text)
    except OSError as error:
        raise CommandError(f"{output}: {error.strerror}") from error
