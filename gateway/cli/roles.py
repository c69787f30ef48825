"""``gateway controlplane | ext-authz | ratelimit | telemetry``: one process each, as containers run them."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (controlplane, ext_authz, ratelimit, telemetry):
        app.command()(command)


def controlplane() -> None:
    """Run the control plane."""
    from controlplane.app import main
    from gateway.binaries import MissingBinaryError, envoy_path

    try:
        main(envoy_path())
    except MissingBinaryError:
        main(None)


def ext_authz() -> None:
    """Run the ext_authz service."""
    from ext_authz.app import main

    main()


def ratelimit() -> None:
    """Run the rate-limit service."""
    from ratelimit_service.app import main

    main()


def telemetry() -> None:
    """Run the process that makes the gateway_* metrics from Envoy's counters."""
    from telemetry.app import main

    main()
