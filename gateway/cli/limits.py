"""``gateway limits``: the rate limits that are live, and other amounts for single callers of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.durations import moment_in
from gateway.cli.options import ContextName, Limit
from gateway.cli.output import Format, Output, Rows, plain, show

LimitName = Annotated[str, typer.Argument(help="The document's name of the limit.", metavar="LIMIT")]
Caller = Annotated[
    list[str],
    typer.Argument(help="Who, as in platform:alice: a value for each of the limit's by.", metavar="CALLER"),
]
OverrideId = Annotated[str, typer.Argument(help="The id of an override, as the list shows it.", metavar="ID")]
Requests = Annotated[int | None, typer.Option(help="Requests, on average, in the time --per.", min=1)]
Per = Annotated[str | None, typer.Option(help="The time that they are for, as in 1m; without it, the limit's own.")]
Burst = Annotated[int | None, typer.Option(help="Requests at once; without it, as many as --requests.", min=1)]
Unlimited = Annotated[bool, typer.Option("--unlimited", help="Let everything through.")]
Denied = Annotated[bool, typer.Option("--denied", help="Let nothing through.")]
Note = Annotated[str | None, typer.Option(help="Why, for people.")]
ExpiresIn = Annotated[str | None, typer.Option(help="How long it holds, as in 12h or 90d; without it, for ever.")]


class By(StrEnum):
    """What callers are sorted by."""

    EXCEEDED = "exceeded"
    ASKED = "asked"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Show rate limits, and give single callers other amounts.", no_args_is_help=True)
    group.command("list")(list_limits)
    group.command("show")(show_limit)
    group.command()(top)
    group.command()(reset)
    override = typer.Typer(help="Give single callers other amounts than their limit's.", no_args_is_help=True)
    override.command()(create)
    override.command("list")(list_overrides)
    override.command("show")(show_override)
    override.command("set")(change)
    override.command()(delete)
    group.add_typer(override, name="override")
    app.add_typer(group, name="limits")


def list_limits(context: ContextName = None, output: Format = Output.TEXT) -> None:
    """List the limits of the live document, and the routes that have them."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        limits = client.get("/limits")
    show(limits, output, _limits_table)


def show_limit(
    limit: LimitName,
    caller: Annotated[
        list[str] | None, typer.Argument(help="Whose state to show: a value for each of the limit's by.")
    ] = None,
    tier: Annotated[str | None, typer.Option(help="The caller's tier, where the limit has tiers.")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Show one limit; or what one caller has left of it right now."""
    from gateway.cli.admin_client import admin_client, path_to

    path = path_to("limits", limit)
    with admin_client(context) as client:
        found = client.get(f"{path}/caller", {"value": caller, "tier": tier}) if caller else client.get(path)
    show(found, output, _lines)


def top(
    limit_name: LimitName,
    by: Annotated[By, typer.Option(help="Who asked most, or was refused most.")] = By.EXCEEDED,
    limit: Limit = 10,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Show who asks most under a limit, or is refused most, in the last five to ten minutes."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        found = client.get(f"{path_to('limits', limit_name)}/top", {"by": by.value, "limit": limit})
    show(found, output, _top_table)


def reset(limit: LimitName, caller: Caller, context: ContextName = None) -> None:
    """Give one caller a full bucket: within a second everywhere, also where the caller was refused."""
    from gateway.cli.admin_client import Body, admin_client, path_to

    with admin_client(context) as client:
        client.send("POST", f"{path_to('limits', limit)}/reset", body=Body.of({"caller": caller}))
    typer.echo(f"{plain(', '.join(caller))}: reset")


def create(
    limit: LimitName,
    caller: Caller,
    requests: Requests = None,
    per: Per = None,
    burst: Burst = None,
    unlimited: Unlimited = False,
    denied: Denied = False,
    note: Note = None,
    expires_in: ExpiresIn = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Give one caller of a limit another amount, no limit at all, or nothing."""
    from gateway.cli.admin_client import Body, admin_client, path_to

    asked = _asked(requests, per, burst, unlimited, denied, note, expires_in) | {"caller": caller}
    with admin_client(context) as client:
        made = client.send("POST", f"{path_to('limits', limit)}/overrides", body=Body.of(asked))
    show(made, output, _lines)


def list_overrides(
    limit_name: LimitName,
    limit: Limit = 50,
    after: Annotated[str | None, typer.Option(help="Begin after the override of this id.", metavar="ID")] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """List the callers of a limit who have other amounts, the last changed first."""
    from gateway.cli.admin_client import admin_client, path_to

    with admin_client(context) as client:
        page = client.get(f"{path_to('limits', limit_name)}/overrides", {"limit": limit, "after": after})
    show(page, output, lambda page: _overrides_table(limit_name, page))


def show_override(
    limit: LimitName, override_id: OverrideId, context: ContextName = None, output: Format = Output.TEXT
) -> None:
    """Show one override."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        found = client.get(_path(limit, override_id))
    show(found, output, _lines)


def change(
    limit: LimitName,
    override_id: OverrideId,
    requests: Requests = None,
    per: Per = None,
    burst: Burst = None,
    unlimited: Unlimited = False,
    denied: Denied = False,
    note: Note = None,
    expires_in: ExpiresIn = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="Take its end away.")] = False,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Change what a caller may do, until when, or the note. With --requests, the burst is as many unless given."""
    from gateway.cli.admin_client import MERGE_PATCH, Body, admin_client
    from gateway.errors import CommandError

    asked = _asked(requests, per, burst, unlimited, denied, note, expires_in)
    if requests is not None:
        asked = {"ruling": "amount", "burst": None} | asked
    if never_expires:
        asked["expires_at"] = None
    if not asked:
        raise CommandError("there is nothing to change: say what, as in --requests 1000")
    with admin_client(context) as client:
        changed = client.send("PATCH", _path(limit, override_id), body=Body.of(asked, MERGE_PATCH))
    show(changed, output, _lines)


def delete(limit: LimitName, override_id: OverrideId, context: ContextName = None) -> None:
    """Let the limit itself count for the caller again; what was taken stays taken."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        client.send("DELETE", _path(limit, override_id))
    typer.echo(f"{plain(override_id)}: deleted")


def _path(limit: str, override_id: str) -> str:
    from gateway.cli.admin_client import path_to

    return f"{path_to('limits', limit)}{path_to('overrides', override_id)}"


def _asked(
    requests: int | None,
    per: str | None,
    burst: int | None,
    unlimited: bool,
    denied: bool,
    note: str | None,
    expires_in: str | None,
) -> dict[str, Any]:
    """What was said, and nothing else."""
    from gateway.cli.durations import parse_duration
    from gateway.errors import CommandError

    if unlimited and denied:
        raise CommandError("--unlimited or --denied, not both")
    ruling = "unlimited" if unlimited else "denied" if denied else None
    said = {
        "ruling": ruling,
        "requests": requests,
        "period_seconds": None if per is None else parse_duration(per),
        "burst": burst,
        "note": note,
        "expires_at": None if expires_in is None else moment_in(expires_in),
    }
    return {name: value for name, value in said.items() if value is not None}


def _limits_table(limits: list[dict[str, Any]]) -> Rows:
    titles = ["name", "by", "amount", "algorithm", "enforce", "tiers", "routes"]
    rows = [
        [
            plain(one["name"]),
            _cell(one["by"]),
            _amount(one),
            plain(one["algorithm"]),
            plain(one["enforce"]),
            _cell(sorted(one["tiers"])),
            _cell(one["routes"]),
        ]
        for one in limits
    ]
    return Rows(titles, rows, empty="no limits")


def _top_table(found: dict[str, Any]) -> Rows:
    rows = [[_cell(one["caller"]), plain(one["asked"]), plain(one["exceeded"])] for one in found["items"]]
    return Rows(["caller", "asked", "refused"], rows, empty="nobody")


def _overrides_table(limit: str, page: dict[str, Any]) -> Rows:
    titles = ["id", "caller", "amount", "expires", "note"]
    rows = [
        [plain(one["id"]), _cell(one["caller"]), _ruling(one), _cell(one["expires_at"]), plain(one["note"])]
        for one in page["items"]
    ]
    more = "" if page["after"] is None else f"more: gateway limits override list {limit} --after {page['after']}"
    return Rows(titles, rows, empty="no overrides", more=more)


def _ruling(one: dict[str, Any]) -> str:
    return _amount(one) if one["ruling"] == "amount" else plain(one["ruling"])


def _amount(one: dict[str, Any]) -> str:
    text = f"{one['requests']} in {one['period_seconds']:g} s"
    return text if one["burst"] == one["requests"] else f"{text}, {one['burst']} at once"


def _lines(one: dict[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')}: {_cell(value)}" for name, value in one.items() if value not in (None, "", [], {})
    ]


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{plain(name)}: {_amount(amount)}" for name, amount in value.items())
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return "" if value is None else plain(value)
