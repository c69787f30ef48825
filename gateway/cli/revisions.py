"""``gateway log``, ``gateway show`` and ``gateway diff``: the history, from the admin API."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from gateway.errors import CommandError
from servicekit.settings import ProcessSettings, load_settings

_DEADLINE = 30.0
"""Seconds. A difference makes the control plane compile two documents."""

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


class Output(StrEnum):
    """Who reads the answer."""

    TEXT = "text"
    JSON = "json"


Format = Annotated[Output, typer.Option("--output", help="For people, or for programs.")]
Number = Annotated[int, typer.Argument(help="The number of a revision.", min=1)]


class AdminClientSettings(ProcessSettings):
    """How to reach the admin API."""

    admin_url: str = "http://127.0.0.1:8001"
    """Where the admin API is."""

    admin_token: SecretStr | None = None
    """Its bearer token. Without it, and without another URL, that of your newest ``gateway up`` on this machine."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(log)
    app.command()(show)
    app.command()(diff)


def log(
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=200)] = 20,
    before: Annotated[int | None, typer.Option(help="Only revisions below this number.", min=1)] = None,
    output: Format = Output.TEXT,
) -> None:
    """List the revisions of the document, newest first."""
    page = _get("/revisions", limit=limit, **({} if before is None else {"before": before}))
    if output is Output.JSON:
        _print_json(page)
        return
    table = Table("number", "when", "outcome", "author", "origin", "message", box=None, pad_edge=False)
    for one in page["items"]:
        table.add_row(
            *(_plain(one[name]) for name in ("number", "created_at", "outcome", "author", "origin", "message"))
        )
    Console(markup=False, highlight=False, soft_wrap=True).print(table)
    if page["before"] is not None:
        typer.echo(f"older ones: gateway log --before {page['before']}")


def show(number: Number, output: Format = Output.TEXT) -> None:
    """Print the document of one revision as it was written."""
    revision = _get(f"/revisions/{number}")
    if output is Output.JSON:
        _print_json(revision)
    else:
        typer.echo(revision["text"], nl=not revision["text"].endswith("\n"))


def diff(
    before: Annotated[int, typer.Argument(help="The number of the older revision.", metavar="A", min=1)],
    after: Annotated[int, typer.Argument(help="The number of the newer one.", metavar="B", min=1)],
    output: Format = Output.TEXT,
) -> None:
    """Say what changes from one revision to another.

    What the documents mean, and which xDS resources differ.
    """
    difference = _get(f"/revisions/{before}/diff", to=after)
    if output is Output.JSON:
        _print_json(difference)
    else:
        typer.echo("\n".join(_lines(difference)))


def _lines(difference: dict[str, Any]) -> Iterable[str]:
    if not difference["changes"] and not difference["resources"]:
        yield "no difference in meaning"
    for change in difference["changes"]:
        yield _plain(f"{_MARKS[change['kind']]} {change['section']} {change['name']}")
        for field in change["fields"]:
            yield _plain(f"    {field['path']}: {_value(field['before'])} -> {_value(field['after'])}")
    for resources in difference["resources"]:
        yield _plain(f"xDS {resources['type_url'].rpartition('/')[2]}")
        for kind, mark in _MARKS.items():
            yield from (_plain(f"    {mark} {name}") for name in resources[kind])


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> str:
    """Text that cannot move the cursor of a terminal."""
    return "".join(character if character.isprintable() else " " for character in str(value))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _get(path: str, **query: int) -> Any:
    settings = load_settings(AdminClientSettings)
    token = _token(settings)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        response = httpx.get(
            f"{settings.admin_url.rstrip('/')}/api/v1{path}", params=query, headers=headers, timeout=_DEADLINE
        )
        answer = response.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"the admin API at {settings.admin_url} does not answer: {error}") from error
    except ValueError as error:
        raise CommandError(f"what answers at {settings.admin_url} is not the admin API") from error
    if not response.is_success:
        raise CommandError(_refusal(answer, response.status_code))
    return answer


def _refusal(answer: object, status: int) -> str:
    problem = answer if isinstance(answer, dict) else {}
    lines = [str(problem.get("detail", f"the admin API answered {status}"))]
    lines += [
        f"{one.get('where', '')}: {one.get('message', one.get('detail', ''))}" for one in problem.get("errors", [])
    ]
    return "\n".join(_plain(line) for line in lines)


def _token(settings: AdminClientSettings) -> str:
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    # The token of a run on this machine is no other server's business.
    return "" if "admin_url" in settings.model_fields_set else _token_of_this_machine()


def _token_of_this_machine() -> str:
    """The token that ``gateway up`` made; empty when none runs."""
    bases = {Path(base) for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp") if base}  # noqa: S108  only own files are read
    files = [file for base in bases for file in base.glob("gateway-up-*/admin-token")]
    try:
        own = [(stat.st_mtime, file) for file in files if (stat := file.stat()).st_uid == os.getuid()]
        return max(own)[1].read_text() if own else ""
    except OSError:
        # The run ended between looking and reading, or the folder is another user's.
        return ""
