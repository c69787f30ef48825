"""``gateway controlplane | ext-authz | ratelimit | response-cache | telemetry``: one process each, for containers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (controlplane, ext_authz, ratelimit, response_cache, telemetry):
        app.command()(command)


def controlplane() -> None:
    """Run the control plane."""
    from controlplane.app import main
    from gateway.binaries import MissingBinaryError, envoy_path

    try:
        main(envoy_path())
    except MissingBinaryError:
        main(None)


def ext_authz(
    policy: Annotated[
        Path | None, typer.Option(help="A file with the policy (JSON), instead of a control plane.", metavar="FILE")
    ] = None,
) -> None:
    """Run the ext_authz service."""
    from ext_authz.app import main

    main(policy=policy)


def ratelimit(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="DIR",
            help="Answer by the files of this folder (of envoyproxy/ratelimit) instead of a policy.",
        ),
    ] = None,
) -> None:
    """Run the rate-limit service."""
    from ratelimit_service.app import main
    from ratelimit_service.rules.errors import RulesError

    try:
        main(config)
    except RulesError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def response_cache() -> None:
    """Run the cache of answers."""
    from response_cache.app import main

    main()


def telemetry() -> None:
    """Run the process that makes the gateway_* metrics from Envoy's counters."""
    from telemetry.app import main

    main()
