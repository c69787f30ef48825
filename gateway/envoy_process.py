"""Runs one Envoy: renders its bootstrap, starts it, drains it on SIGTERM, and ends when it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from gateway.binaries import envoy_path
from gateway.cgroup import memory_limit
from gateway.child import Child
from gateway.envoy_settings import LEAST_MEMORY, EnvoySettings
from gateway.errors import CommandError
from gateway.http_client import UnreachableError, request
from servicekit.address import Address
from servicekit.contracts.data_plane import ENVOY_ADMIN_STATS, HEALTH_LISTENER

_LOG_LEVELS = {"DEBUG": "debug", "INFO": "warning", "WARNING": "warning", "ERROR": "error"}
"""Ours to Envoy's. Its own ``info`` is a hundred lines at each start that say nothing to an operator."""

_TELL_HEADERS = ("http", "http2", "router", "client", "ext_authz")
"""Envoy's loggers that at ``debug`` write the headers of requests, with tokens and API keys in them."""

_POLL_EVERY = 0.05
_LEAVE_WITHIN = 1.0
_CONNECTIONS = re.compile(
    rb"^http\.(?P<prefix>.+)\.downstream_(?P<what>cx|rq)_active: (?P<count>\d+)\r?$", re.MULTILINE
)


class EnvoyProcessSettings(EnvoySettings):
    """Settings of ``gateway envoy``."""

    envoy_path: Path | None = None
    """The Envoy binary; without it the one of the ``embedded`` extra, else the one of PATH."""


async def run_envoy(settings: EnvoyProcessSettings, *, bootstrap: Path | None = None) -> None:
    """Run Envoy until SIGTERM or SIGINT; a second signal ends it at once.

    Args:
        settings: where the others are.
        bootstrap: a rendered bootstrap to use instead of rendering one.

    Raises:
        CommandError: the binary can't be run, the bootstrap can't be rendered, or Envoy ended by itself.
        CannotStartError: the binary can't be run.
        MissingBinaryError: there is no binary.
    """
    binary = _binary(settings)
    stop, now = _signals()
    with tempfile.TemporaryDirectory(prefix="gateway-envoy-") as folder:  # mode 0700
        if bootstrap is None:
            bootstrap = Path(folder, "bootstrap.yaml")
            await _render(bootstrap, settings)
        # Envoy writes local time into its own log.
        child = Child.start(_arguments(binary, settings, bootstrap), environment={**os.environ, "TZ": "UTC"})
        ended, stopping = asyncio.create_task(child.ended()), asyncio.create_task(stop.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if child.status is not None:
            raise CommandError(f"Envoy ended by itself with status {child.status}")
        await _stop(child, settings, now)


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first and by the second signal."""
    stop, now = asyncio.Event(), asyncio.Event()

    def received() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received)
    return stop, now


def _binary(settings: EnvoyProcessSettings) -> Path:
    binary = settings.envoy_path or envoy_path()
    if not os.access(binary, os.X_OK):
        raise CommandError(f"{binary} is no program that can be run")
    return binary


def _arguments(binary: Path, settings: EnvoyProcessSettings, bootstrap: Path) -> list[str]:
    arguments = [str(binary), "-c", str(bootstrap), "--disable-hot-restart"]
    arguments += ["--log-level", _LOG_LEVELS[settings.log_level]]
    if settings.log_level == "DEBUG":
        arguments += ["--component-log-level", ",".join(f"{logger}:info" for logger in _TELL_HEADERS)]
    if settings.envoy_concurrency is not None:
        arguments += ["--concurrency", str(settings.envoy_concurrency)]
    return arguments


async def _render(path: Path, settings: EnvoySettings) -> None:
    """In a process of its own: the library that builds bootstraps would stay in ours, 40 MB for one file."""
    command = [sys.executable, "-P", "-m", "gateway", "bootstrap", "--output", str(path)]
    bounded = memory_limit() if settings.memory_limit is None else None
    told = {"GATEWAY_MEMORY_LIMIT": str(bounded)} if bounded is not None and bounded >= LEAST_MEMORY else {}
    if await Child.start(command, environment={**os.environ, **told}).ended() != 0:
        raise CommandError("the bootstrap can't be rendered")  # it has said why itself


async def _stop(child: Child, settings: EnvoySettings, now: asyncio.Event) -> None:
    drain = asyncio.create_task(_drain(settings.envoy_admin, settings.drain_seconds))
    others = [asyncio.create_task(child.ended()), asyncio.create_task(now.wait())]
    await asyncio.wait([drain, *others], return_when=asyncio.FIRST_COMPLETED)
    drain.cancel()
    child.signal(signal.SIGTERM)
    await asyncio.wait(others, timeout=_LEAVE_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    child.kill_group()
    await child.ended()


async def _drain(admin: Address, seconds: float) -> None:
    """Let clients go elsewhere, then let requests finish; at most ``seconds`` in all.

    From the start ``/health/ready`` says 503 and every answer asks to close its connection. Half of the time new
    connections are still taken, for a load balancer needs a while to notice; then only what is under way goes on.
    """
    try:
        await request(admin, "/healthcheck/fail", method="POST")
        await _until_none(admin, b"cx", seconds / 2)
        await request(admin, "/drain_listeners?inboundonly", method="POST")
        await _until_none(admin, b"rq", seconds / 2)
    except UnreachableError:
        return  # it has gone already, or it hangs: either way there is nothing to wait for


async def _until_none(admin: Address, what: bytes, seconds: float) -> None:
    """Wait until there are no client connections (``cx``) or requests (``rq``)."""
    deadline = time.monotonic() + seconds
    while await _active(admin, what) and time.monotonic() < deadline:  # noqa: ASYNC110  Envoy sets no event of ours
        await asyncio.sleep(_POLL_EVERY)


async def _active(admin: Address, what: bytes) -> int:
    answer = await request(admin, "/stats?filter=^http%5C..*_active$")
    own = (ENVOY_ADMIN_STATS.encode(), HEALTH_LISTENER.encode())
    return sum(
        int(match["count"])
        for match in _CONNECTIONS.finditer(answer.body)
        if match["what"] == what and match["prefix"] not in own
    )
