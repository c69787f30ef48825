"""``gateway events``: what happens, as it happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import ContextName
from gateway.cli.output import Format, Output, as_json, as_yaml, plain

if TYPE_CHECKING:
    from gateway.cli.admin_client import AdminClient
    from gateway.cli.event_stream import ServerEvent

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
"""Seconds between two attempts to connect again."""
_PASSING = (429, 502, 503, 504)
"""Refusals of a control plane that begins, or of what stands before it."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(events)


def events(
    after: Annotated[str | None, typer.Option(help="Begin after the event with this id.", metavar="ID")] = None,
    count: Annotated[int | None, typer.Option(help="End after so many.", min=1)] = None,
    context: ContextName = None,
    output: Format = Output.TEXT,
) -> None:
    """Print what happens, one line an event, until Ctrl-C. A lost connection goes on where it broke off."""
    from gateway.cli.admin_client import admin_client

    with admin_client(context) as client:
        for number, event in enumerate(follow(client, after or ""), 1):
            print_event(event, output)
            if number == count:
                return


def follow(client: AdminClient, last_id: str) -> Iterator[dict[str, Any]]:
    """Every event after ``last_id``; connects again as often as it takes, once it has connected.

    Raises:
        CommandError: the API refuses, or does not answer at first.
    """
    from gateway.cli.admin_client import LostError
    from gateway.cli.event_stream import EventParser, TooLargeEventError
    from gateway.cli.refusals import RefusedError
    from gateway.errors import CommandError

    pause, connected = _FIRST_PAUSE, False
    while True:
        parser = EventParser(last_id=last_id)
        try:
            with client.events(last_id) as chunks:
                connected, pause = True, _FIRST_PAUSE
                for chunk in chunks:
                    for event in parser.feed(chunk):
                        last_id = event.id
                        yield read_event(event)
        except LostError:
            if not connected:
                raise
        except RefusedError as error:
            if not connected or error.status not in _PASSING:
                raise
        except TooLargeEventError as error:
            raise CommandError("an event has more bytes than any has") from error
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def print_event(event: dict[str, Any], output: Output) -> None:
    """One event on one line, or one YAML document."""
    if output is Output.JSON:
        typer.echo(as_json(event, indent=None))
    elif output is Output.YAML:
        typer.echo(f"---\n{as_yaml(event)}", nl=False)
    else:
        data = event["data"]
        members = data.items() if isinstance(data, dict) else [("data", data)]
        said = " ".join(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in members)
        typer.echo(plain(" ".join(part for part in (str(event["at"] or ""), event["kind"], said) if part)))


def read_event(event: ServerEvent) -> dict[str, Any]:
    """What an event says: its time apart from the rest; data that is no JSON object stays as it is."""
    try:
        data = json.loads(event.data)
    except (ValueError, RecursionError):
        data = event.data
    at = data.pop("at", None) if isinstance(data, dict) else None
    return {"id": event.id, "kind": event.kind, "at": at, "data": data}
