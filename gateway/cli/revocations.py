"""``gateway revocations``: tokens that are refused though they are valid."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.durations import moment_in
from gateway.cli.options import ContextName, Limit
from gateway.cli.output import Format, Output, Rows, plain, show, understood


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Revoke tokens, list what is revoked, and take it back.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_revocations)
    group.command()(remove)
    app.add_typer(group, name="revocations")


def add(
    provider: Annotated[str, typer.Argument(help="Whose tokens: a name in authentication.", metavar="PROVIDER")],
    jti: Annotated[str | None, typer.Option(help="The one token of this id.", metavar="ID")] = None,
    sub: Annotated[str | None, typer.Option(help="Every token of this user.", metavar="USER")] = None,
    sid: Annotated[str | None, typer.Option(help="Every token of this session.", metavar="ID")] = None,
    issued_before: Annotated[
        str | None, typer.Option(help="With --sub or --sid: only tokens until then, as in 2026-01-31T12:00Z; or now.")
    ] = None,
    lasts: Annotated[
        str | None, typer.Option(help="How long, as in 12h; 30d without it. Longer than the tokens live.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the list and the audit log.")] = "",
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Revoke tokens: every ext_authz refuses them within a second."""
    from gateway.cli.admin_client import Body, admin_client

    kind, value = _one_of(jti=jti, sub=sub, sid=sid)
    asked: dict[str, Any] = {"provider": provider, "kind": kind, "value": value, "reason": reason}
    if issued_before is not None:
        asked["issued_before"] = issued_before
    if lasts is not None:
        asked["ends_at"] = moment_in(lasts)
    with admin_client(context) as client:
        made = client.send("POST", "/revocations", body=Body.of(asked))
    with understood():
        named, until = plain(made["id"]), plain(made["ends_at"])
    about = f"{named}: tokens of {plain(provider)} with this {kind} are refused until {until}"
    show(made, output, lambda _: [about])


def list_revocations(
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="Begin where the page before ended.", metavar="NUMBER")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """List the revocations that have not ended, withdrawn ones too, the newest first."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        page = client.get("/revocations", {"limit": limit, "before": before})
    show(page, output, _table)


def remove(
    revocation_id: Annotated[str, typer.Argument(help="The id of a revocation, as the list shows it.", metavar="ID")],
    context: ContextName = None,
) -> None:
    """Take a revocation back: its tokens count again within a second."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        client.send("DELETE", path_to("revocations", revocation_id))
    typer.echo(f"{plain(revocation_id)}: taken back")


def _one_of(**given: str | None) -> tuple[str, str]:
    found = [(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise typer.BadParameter("give exactly one of --jti, --sub and --sid")
    return found[0]


def _table(page: dict[str, Any]) -> Rows:
    names = ("id", "provider", "kind", "value", "issued_before", "ends_at", "withdrawn_at", "created_by", "reason")
    rows = [[plain(one.get(name)) for name in names] for one in page["items"]]
    titles = [name.replace("_", " ").removesuffix(" at") for name in names]
    more = "" if page["before"] is None else f"more: gateway revocations list --before {plain(page['before'])}"
    return Rows(titles, rows, empty="nothing is revoked", more=more)
