"""``gateway tokens``: who may use the admin API."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.durations import moment_in
from gateway.cli.options import ContextName, Limit
from gateway.cli.output import Format, Output, Rows, plain, show, understood


class RoleName(StrEnum):
    """What the holder of a token may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Make, list and revoke tokens of the admin API.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_tokens)
    group.command()(revoke)
    app.add_typer(group, name="tokens")


def create(
    name: Annotated[str, typer.Argument(help="What it is for.", metavar="NAME")],
    role: Annotated[RoleName, typer.Option(help="viewer reads; operator writes the document too; admin everything.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Only paths that begin so, as in /routes/team-a-; repeat it for each.", metavar="PATH"),
    ] = None,
    expires_in: Annotated[str | None, typer.Option(help="Lifetime, as in 12h or 90d; without it, for ever.")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Make a token. It is printed this once: nobody can read it again."""
    from gateway.cli.admin_client import Body, admin_client

    asked: dict[str, Any] = {"name": name, "role": role.value, "scopes": scope or []}
    if expires_in is not None:
        asked["expires_at"] = moment_in(expires_in)
    with admin_client(context) as client:
        made = client.send("POST", "/tokens", body=Body.of(asked))
    with understood():
        about = plain(f"{made['id']}: {name}, {role.value}; it is not shown again")
    show(made, output, lambda _: [plain(made["token"])])
    typer.echo(about, err=True)


def list_tokens(
    limit: Limit = 50,
    after: Annotated[str | None, typer.Option(help="Begin after the token of this id.", metavar="ID")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """List the tokens, without their secrets."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        page = client.get("/tokens", {"limit": limit, "after": after})
    show(page, output, _table)


def revoke(
    token_id: Annotated[str, typer.Argument(help="The id of a token, as the list shows it.", metavar="ID")],
    context: ContextName = None,
) -> None:
    """Revoke a token: it lets nobody in from now on."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        client.send("DELETE", path_to("tokens", token_id))
    typer.echo(f"{plain(token_id)}: revoked")


def _table(page: dict[str, Any]) -> Rows:
    names = ("id", "name", "role", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    rows = [[_cell(one.get(name)) for name in names] for one in page["items"]]
    titles = [name.replace("_", " ").removesuffix(" at") for name in names]
    more = "" if page["after"] is None else f"more: gateway tokens list --after {page['after']}"
    return Rows(titles, rows, empty="no tokens", more=more)


def _cell(value: object) -> str:
    return ", ".join(map(plain, value)) if isinstance(value, list) else plain(value)
