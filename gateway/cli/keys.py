"""``gateway keys``: API keys that are made while the gateway runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.durations import moment_in
from gateway.cli.options import ContextName, Limit
from gateway.cli.output import Format, Output, Rows, plain, show, understood

KeyId = Annotated[str, typer.Argument(help="The id of a key: what stands between its underscores.", metavar="ID")]
Owner = Annotated[str, typer.Option(help="Whose it is.", metavar="NAME")]
Tier = Annotated[str, typer.Option(help="What the owner is worth, for limits with tiers.")]
Scopes = Annotated[
    list[str] | None, typer.Option("--scope", help="What it grants; repeat it for each.", metavar="SCOPE")
]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", help="What to remember of it; repeat it for each.", metavar="NAME=TEXT"),
]
ExpiresIn = Annotated[str | None, typer.Option(help="Lifetime, as in 12h or 90d; without it, for ever.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Make, list, change, rotate and revoke API keys.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_keys)
    group.command("show")(show_key)
    group.command("set")(change)
    group.command()(rotate)
    group.command()(revoke)
    app.add_typer(group, name="keys")


def create(
    provider: Annotated[str, typer.Argument(help="Who takes it: a name in authentication.", metavar="PROVIDER")],
    owner: Owner,
    tier: Tier = "",
    scope: Scopes = None,
    metadata: Metadata = None,
    expires_in: ExpiresIn = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Make a key. It is printed this once: nobody can read it again."""
    from gateway.cli.admin_client import Body, admin_client

    asked: dict[str, Any] = {
        "provider": provider,
        "owner": owner,
        "tier": tier,
        "scopes": scope or [],
        "metadata": _pairs(metadata),
    }
    if expires_in is not None:
        asked["expires_at"] = moment_in(expires_in)
    with admin_client(context) as client:
        made = client.send("POST", "/api-keys", body=Body.of(asked))
    _show_secret(made, output, f"for {provider}, of {owner}")


def list_keys(
    limit: Limit = 50,
    after: Annotated[str | None, typer.Option(help="Begin after the key of this id.", metavar="ID")] = None,
    provider: Annotated[str | None, typer.Option(help="Only keys for this provider.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only keys of this owner.")] = None,
    revoked: Annotated[bool | None, typer.Option(help="Only revoked keys, or only others.")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """List the keys, without their secrets."""
    from gateway.cli.admin_client import admin_client

    asked = {"limit": limit, "after": after, "provider": provider, "owner": owner}
    if revoked is not None:
        asked["revoked"] = str(revoked).lower()
    with admin_client(context) as client:
        page = client.get("/api-keys", asked)
    show(page, output, _table)


def show_key(key_id: KeyId, context: ContextName = None, output: Format = Output.TEXT) -> None:
    """Show one key, without its secret."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        key = client.get(path_to("api-keys", key_id))
    show(key, output, _lines)


def change(
    key_id: KeyId,
    owner: Annotated[str | None, typer.Option(help="Whose it is.", metavar="NAME")] = None,
    tier: Annotated[str | None, typer.Option(help="What the owner is worth; empty for nothing.")] = None,
    scope: Scopes = None,
    metadata: Metadata = None,
    expires_in: ExpiresIn = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="Take its end away.")] = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Change what is known of a key; its secret stays. Scopes that are given replace all."""
    from gateway.cli.admin_client import MERGE_PATCH, Body, admin_client, path_to
    from gateway.errors import CommandError

    asked: dict[str, Any] = {"owner": owner, "tier": tier, "scopes": scope, "metadata": _pairs(metadata) or None}
    asked = {name: value for name, value in asked.items() if value is not None}
    if never_expires or expires_in is not None:
        asked["expires_at"] = None if expires_in is None else moment_in(expires_in)
    if not asked:
        raise CommandError("there is nothing to change: say what, as in --tier gold")
    with admin_client(context) as client:
        changed = client.send("PATCH", path_to("api-keys", key_id), body=Body.of(asked, MERGE_PATCH))
    show(changed, output, _lines)


def rotate(
    key_id: KeyId,
    overlap: Annotated[str, typer.Option(help="How long the secret before is good too, as in 2h or 7d; 0s.")] = "24h",
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Give a key another secret, under the same id. It is printed this once."""
    from gateway.cli.admin_client import Body, admin_client, path_to
    from gateway.cli.durations import parse_duration

    body = Body.of({"overlap_seconds": int(parse_duration(overlap))})
    with admin_client(context) as client:
        made = client.send("POST", f"{path_to('api-keys', key_id)}/rotate", body=body)
    _show_secret(made, output, f"the secret before is good for {overlap} more")


def revoke(key_id: KeyId, context: ContextName = None) -> None:
    """Revoke a key for good: within a second it opens nothing."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        client.send("DELETE", path_to("api-keys", key_id))
    typer.echo(f"{plain(key_id)}: revoked")


def _show_secret(made: dict[str, Any], output: Output, about: str) -> None:
    with understood():
        told = plain(f"{made['id']}: {about}; it is not shown again")
    show(made, output, lambda _: [plain(made["key"])])
    typer.echo(told, err=True)


def _pairs(written: list[str] | None) -> dict[str, str]:
    from gateway.errors import CommandError

    pairs = [text.partition("=") for text in written or []]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise CommandError("metadata is written NAME=TEXT")
    return {name: text for name, _, text in pairs}


def _table(page: dict[str, Any]) -> Rows:
    names = ("id", "provider", "owner", "tier", "scopes", "created_at", "rotated_at", "expires_at", "revoked_at")
    rows = [[_cell(one.get(name)) for name in names] for one in page["items"]]
    titles = [name.removesuffix("_at") for name in names]
    more = "" if page["after"] is None else f"more: gateway keys list --after {page['after']}"
    return Rows(titles, rows, empty="no keys", more=more)


def _lines(key: dict[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')}: {_cell(value)}" for name, value in key.items() if value not in (None, "", [], {})
    ]


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{plain(name)}={plain(text)}" for name, text in value.items())
    return ", ".join(map(plain, value)) if isinstance(value, list) else plain(value)
