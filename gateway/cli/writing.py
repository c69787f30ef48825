"""Writes that wait for nodes: what they ask of the API, and what is shown meanwhile."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer

from gateway.cli.admin_client import AdminClient, Body, LostError, Query, admin_client
from gateway.cli.durations import parse_duration
from gateway.cli.output import plain
from gateway.errors import CommandError

LONGEST_WAIT = 600.0
"""Seconds that the API waits at most."""

_INTERVAL = 0.5
"""Seconds between two looks at the nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of the document or of a part of it."""

    method: str
    path: str
    body: Body | None = None
    query: Query | None = None
    """Besides what follows."""
    message: str | None = None
    timeout: str = "30s"
    if_match: int | None = None
    dry_run: bool = False

    @property
    def seconds(self) -> float:
        """For how long the nodes are waited for.

        Raises:
            CommandError: the timeout is no duration that the API takes.
        """
        seconds = parse_duration(self.timeout)
        if not 0 <= seconds <= LONGEST_WAIT:
            raise CommandError(f"the nodes are waited for between 0s and {LONGEST_WAIT:.0f}s, not {self.timeout}")
        return 0.0 if self.dry_run else seconds


def perform(write: Write, context: str | None) -> Any:
    """Send a write, and wait for its answer.

    Raises:
        RefusedError: the API refuses.
        CommandError: nobody answers; whether it was done is not known then.
    """
    seconds = write.seconds
    with admin_client(context) as client:
        if not seconds:
            return _send(client, write, 0.0)
        with admin_client(context) as watching:
            return _while_watching(lambda: _send(client, write, seconds), watching)


def _send(client: AdminClient, write: Write, seconds: float) -> Any:
    asked = {
        **(write.query or {}),
        "message": write.message,
        "dry_run": True if write.dry_run else None,
        "wait": None if write.dry_run else seconds,
    }
    try:
        return client.send(
            write.method, write.path, query=asked, body=write.body, if_match=write.if_match, wait=seconds
        )
    except LostError as error:
        if write.dry_run or not error.arrived:
            raise
        raise CommandError(f"{error}; whether it was done is not known: gateway log shows it then") from error


def _while_watching(work: Callable[[], Any], client: AdminClient) -> Any:
    """The result of ``work``; meanwhile, how many nodes have what they should have.

    Ctrl-C ends the wait at once: the work is done in a thread that nobody waits for.
    """
    answers: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:  # noqa: BLE001  raised again where somebody waits for it
            errors.append(error)

    worker = threading.Thread(target=run, daemon=True, name="write")
    worker.start()
    try:
        _watch(client, worker)
    except KeyboardInterrupt:
        typer.echo("nobody waits any longer; the change itself goes on: gateway log shows what becomes of it", err=True)
        raise
    if errors:
        raise errors[0]
    return answers[0]


def _watch(client: AdminClient, worker: threading.Thread) -> None:
    worker.join(_INTERVAL)
    if not worker.is_alive():
        return
    if sys.stderr.isatty():
        _watch_on_terminal(client, worker)
        return
    said = ""
    while worker.is_alive():
        if (now := progress(client)) != said:
            typer.echo(now, err=True)
            said = now
        worker.join(_INTERVAL)


def _watch_on_terminal(client: AdminClient, worker: threading.Thread) -> None:
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text("waiting for the nodes")) as status:
        while worker.is_alive():
            status.update(Text(progress(client)))
            worker.join(_INTERVAL)


def progress(client: AdminClient) -> str:
    """How many nodes of each group have not answered yet, and how far a canary is, in one line."""
    try:
        said = ", ".join(_group_progress(group) for group in client.get("/rollout")["groups"])
    except (CommandError, KeyError, TypeError):
        said = ""  # this token may not see it, or the API is busy
    return f"waiting for the nodes: {said}" if said else "waiting for the nodes"


def _group_progress(group: dict[str, Any]) -> str:
    waiting = len(group["waiting"])
    canary = f" (canary {group['canary']['phase']})" if group["canary"] else ""
    return plain(f"{group['name']} {f'{waiting} to go' if waiting else 'done'}{canary}")
