"""``gateway auth``: authentication as it is: the keys that tokens are verified with."""

from __future__ import annotations

from typing import Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, Rows, show, understood

_TITLES = ("provider", "key", "kind", "algorithms", "thumbprint", "age", "next refresh", "state", "ext_authz")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Show the keys that tokens are verified with.", no_args_is_help=True)
    group.command()(keys)
    app.add_typer(group, name="auth")


def keys(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Show which keys every ext_authz verifies tokens with, how old they are, and why they could not be fetched.

    Of a key there is its name, its kind and the thumbprint of its public half (RFC 7638). Exits with 1 when an
    ext_authz does not answer.
    """
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        found = client.get("/auth/keys")
    show(found, output, _table)
    with understood():
        silent = [service for service in found if service["error"]]
    if silent:
        raise typer.Exit(1)


def _table(found: list[dict[str, Any]]) -> Rows:
    rows = [row for service in found for row in _of_service(service)]
    none = (
        "no provider of tokens" if found else "no ext_authz to ask: the control plane's GATEWAY_AUTH_TARGETS is empty"
    )
    return Rows(_TITLES, rows, empty=none)


def _of_service(service: dict[str, Any]) -> list[tuple[object, ...]]:
    if service["error"]:
        return [("", "", "", "", "", "", "", service["error"], service["service"])]
    return [row for source in service["sources"] for row in _of_source(source, service["service"])]


def _of_source(source: dict[str, Any], service: str) -> list[tuple[object, ...]]:
    fetched = (_span(source["age"]), _span(source["next_refresh"]), _state(source), service)
    return [
        (source["provider"], key["kid"] or "", key["kty"], " ".join(key["algorithms"]), key["thumbprint"], *fetched)
        for key in source["keys"]
    ] or [(source["provider"], "none", "", "", "", *fetched)]


def _state(source: dict[str, Any]) -> str:
    if source["last_error"] is None:
        return "in use" if source["usable"] else "no keys yet"
    if not source["usable"]:
        return f"not usable: {source['last_error']}"
    left = "" if source["usable_for"] is None else f" for {_span(source['usable_for'])}"
    return f"in use{left}: {source['last_error']}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return (
        f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m" if seconds < 7200 else f"{seconds / 3600:.0f}h"
    )
