"""Runs a whole gateway: checks first, then the supervisor, until a signal. The composition root of ``gateway up``."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from gateway.binaries import valkey_path
from gateway.errors import CommandError
from gateway.http_client import reachable
from gateway.supervisor import Output, Supervisor
from gateway.up.announcement import Announcement, render
from gateway.up.document import Outline, read_outline, without_document
from gateway.up.kept_secret import kept_secret
from gateway.up.listening import conflicts
from gateway.up.run_directory import run_directory
from gateway.up.settings import UpSettings
from gateway.up.wiring import MANAGED, Run, claims, components, state_folder
from servicekit.address import Address
from servicekit.settings import ENV_FILE

_DRAIN_SECONDS = 2.0
_STOP_SECONDS = 4.5
"""Ctrl-C promises five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    demo: bool = False
    quiet: bool = False
    log_file: Path | None = None


async def run_up(settings: UpSettings, options: Options) -> None:
    """Run a gateway until SIGINT, SIGTERM or SIGHUP; a second signal kills what is left.

    Raises:
        CommandError: the document has mistakes or a port can't be had; nothing was started.
        ComponentFailedError: a process can't be kept running; everything was stopped.
        MissingBinaryError: there is no Valkey, and no ``GATEWAY_REDIS_URL``.
    """
    begun = time.monotonic()
    stop = asyncio.Event()
    outline = _checked(settings, options)
    with run_directory() as folder, _log_target(options) as target, Output(target) as output:
        run = _plan(settings, options, folder)
        announcement = Announcement(
            settings=settings,
            outline=outline,
            demo=options.demo,
            token_file=_token_file(run) if settings.admin_token is None else None,
            command=_own_command(),
        )
        supervisor = Supervisor(
            components=components(run), output=output, say=_say, stop_within=_stop_seconds(run.drain_seconds)
        )
        _stop_on_signals(stop, supervisor)
        await supervisor.run(stop=stop, on_ready=lambda: _say(render(announcement, seconds=time.monotonic() - begun)))


def _checked(settings: UpSettings, options: Options) -> Outline:
    """The document's outline, after everything that can be known before a start was found to be right."""
    for name in _ignored():
        _say(f"{name} is not used here: gateway up connects its processes itself")
    if settings.document is not None:
        outline = read_outline(settings.document, settings.listen_address)
    else:
        outline = without_document(settings.listen_address, settings.port)
    if found := conflicts([*outline.listeners, *claims(settings, demo=options.demo)]):
        raise CommandError("\n".join(found))
    return outline


def _ignored() -> list[str]:
    said = {name.upper() for name, value in {**dotenv_values(ENV_FILE), **os.environ}.items() if value}
    return [name for name in MANAGED if name in said]


def _plan(settings: UpSettings, options: Options, folder: Path) -> Run:
    token = settings.admin_token.get_secret_value() if settings.admin_token is not None else secrets.token_urlsafe(32)
    return Run(
        settings=settings,
        document=settings.document,
        demo=options.demo,
        folder=folder,
        admin_token=token,
        api_key_secret=(
            settings.api_key_secret.get_secret_value()
            if settings.api_key_secret is not None
            else kept_secret(state_folder(settings, folder) / "api-key-secret")
        ),
        valkey=valkey_path() if settings.redis_url is None else None,
        # Unless somebody asked for another, one that fits into what Ctrl-C promises.
        drain_seconds=settings.drain_seconds if "drain_seconds" in settings.model_fields_set else _DRAIN_SECONDS,
        environment=os.environ,
    )


def _stop_seconds(drain_seconds: float) -> float:
    return max(_STOP_SECONDS, drain_seconds + 2.5)


def _token_file(run: Run) -> Path:
    """Where commands of the same user find the token, and the address that it is for."""
    (run.folder / "admin-url").write_text(_admin_url(run.settings.admin_bind))
    path = run.folder / "admin-token"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(run.admin_token)
    return path


def _admin_url(bind: Address) -> str:
    return str(bind) if bind.is_unix else f"http://{reachable(bind)}"


@contextmanager
def _log_target(options: Options) -> Iterator[int | None]:
    """The descriptor that the processes' lines go to."""
    if options.log_file is not None:
        try:
            file = options.log_file.open("ab")
        except OSError as error:
            raise CommandError(f"{options.log_file}: {error.strerror}") from error
        with file:
            yield file.fileno()
    else:
        yield None if options.quiet else sys.stdout.fileno()


def _stop_on_signals(stop: asyncio.Event, supervisor: Supervisor) -> None:
    def received() -> None:
        if stop.is_set():
            supervisor.kill_all()
        else:
            _say("stopping")
            stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, received)


def _own_command() -> str:
    """How this command was called, in a form that works from the same folder."""
    called = Path(sys.argv[0])
    if called.name != "gateway":
        return "gateway"
    try:
        return str(called.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(called)


def _say(text: str) -> None:
    """To people; the logs are on standard output."""
    print(text if text.startswith("\n") else f"gateway: {text}", file=sys.stderr, flush=True)
