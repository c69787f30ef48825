"""``gateway auth``: the keys that tokens are verified with, and why a request is let through or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, Rows, show, understood

_TITLES = ("provider", "key", "kind", "algorithms", "thumbprint", "age", "next refresh", "state", "ext_authz")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Show the keys that tokens are verified with, or why a request is let through or not.")
    group.command()(keys)
    group.command()(explain)
    app.add_typer(group, name="auth", no_args_is_help=True)


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


def explain(
    route: Annotated[
        tuple[str, str], typer.Option(help="The request: its method, and its URL or path.", metavar="METHOD URL")
    ],
    token: Annotated[
        str | None, typer.Option(help="The token or API key. Others on this machine can see it here.", metavar="TEXT")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="A file with the token or API key.")] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token or API key from standard input.")
    ] = False,
    header: Annotated[
        list[str] | None, typer.Option(help="A header of the request; repeat it for each.", metavar="NAME:VALUE")
    ] = None,
    client_ip: Annotated[str, typer.Option(help="The address that the request comes from.", metavar="IP")] = "",
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", help="A document, in place of the one that is live: nothing running is asked."),
    ] = None,
    jwks: Annotated[
        list[str] | None,
        typer.Option(help="A file with a provider's keys (a JWK Set), or with everybody's.", metavar="[PROVIDER=]FILE"),
    ] = None,
    fetch: Annotated[
        bool | None,
        typer.Option("--fetch/--no-fetch", help="Ask the identity providers for keys; so it is without --file."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="The node group whose routes are meant; else the first.")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Say which route takes a request, and what ext_authz decides of it, step by step.

    It is decided here, by the code of ext_authz itself: the token goes to nobody and is not printed. Exits with 0
    whatever the decision is.
    """
    from gateway.cli.explained import for_people, for_programs
    from gateway.cli.explanation import Question, ask
    from gateway.cli.explanation_input import live_gateway, read_headers, read_key_sets, read_token, written_gateway

    question = Question(
        method=route[0].upper(),
        url=route[1],
        headers=read_headers(header or []),
        token=read_token(token, token_file, from_stdin=token_stdin),
        client_ip=client_ip,
        key_sets=read_key_sets(jwks or []),
        fetch=file is None if fetch is None else fetch,
        group=group,
    )
    gateway, services = (written_gateway(file), []) if file is not None else live_gateway(context)
    show(for_programs(ask(gateway, question), services), output, for_people)


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
