"""The life of a process: start its servers, run its tasks, drain on SIGTERM, stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
import uvloop

from servicekit.health import Health
from servicekit.http import HttpServer
from servicekit.tasks import TaskEndedError, guard

if TYPE_CHECKING:  # not every process speaks gRPC, and importing it takes a tenth of a second
    import grpc.aio

_CANCEL_SECONDS = 2.0
"""How long tasks have to end after they were told to for the last time."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one process consists of. ``app.py`` of each package builds one and hands it to :func:`run`."""

    health: Health
    http: HttpServer
    grpc_server: grpc.aio.Server | None = None
    tasks: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    on_started: Callable[[], Awaitable[None]] | None = None
    on_stopped: Callable[[], Awaitable[None]] | None = None
    drain_seconds: float = 3.0


def run(build: Callable[[], Awaitable[Process]]) -> None:
    """Build a process inside a fresh uvloop event loop and run it until SIGTERM or SIGINT."""

    async def main() -> None:
        await serve(await build())

    uvloop.run(main())


async def serve(process: Process) -> None:
    """Run until SIGTERM, SIGINT or the end of a background task.

    Raises:
        TaskEndedError: a background task ended by itself.
        AddressInUseError: the HTTP address can't be bound.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await _serve_until(process, stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        if process.on_stopped is not None:
            await process.on_stopped()


async def _serve_until(process: Process, stop: asyncio.Event) -> None:
    process.http.listen()
    if process.grpc_server is not None:
        await process.grpc_server.start()
    http = asyncio.create_task(process.http.run_until_stopped(), name="http")
    tasks = [asyncio.create_task(guard(name, task), name=name) for name, task in process.tasks.items()]
    stopping = asyncio.create_task(stop.wait(), name="stop signal")
    try:
        if process.on_started is not None:
            await process.on_started()
        process.health.started = True
        _log.info("started", http=str(process.http.address))
        done, _ = await asyncio.wait([stopping, http, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if stopping not in done:
            raise TaskEndedError("the HTTP server ended by itself")
    finally:
        stopping.cancel()
        await _drain(process, http, tasks)


async def _drain(process: Process, http: asyncio.Task[None], tasks: list[asyncio.Task[None]]) -> None:
    process.health.draining = True
    _log.info("draining", seconds=process.drain_seconds)
    if process.grpc_server is not None:
        await process.grpc_server.stop(process.drain_seconds)
    process.http.should_exit = True
    for task in tasks:
        task.cancel()
    await asyncio.wait([http, *tasks], timeout=process.drain_seconds + 1)
    for task in (http, *tasks):
        task.cancel()
    ended, late = await asyncio.wait([http, *tasks], timeout=_CANCEL_SECONDS)
    for task in ended:
        if not task.cancelled():
            task.exception()  # told by its guard; asyncio would tell it again if nobody looked
    if late:
        # A task group waits for ever when one of its children loses its only cancellation.
        waiting = sorted(task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()})
        names = sorted(task.get_name() for task in late)
        _log.error("tasks did not end; stopping without them", tasks=names, waiting=waiting)
    _log.info("stopped")
