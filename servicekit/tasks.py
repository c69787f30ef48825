"""Background tasks that have a name and whose unexpected end is never silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger(__name__)


class TaskEndedError(Exception):
    """A task that should run as long as its process has returned or raised."""


async def guard(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run an eternal task; log and raise when it ends by itself. Cancellation passes through.

    Raises:
        TaskEndedError: the task returned or raised.
    """
    try:
        await run()
    except asyncio.CancelledError:
        raise
    except Exception as error:
        _log.exception("background task failed", task=name)
        raise TaskEndedError(f"background task {name!r} failed: {error}") from error
    _log.error("background task ended", task=name)
    raise TaskEndedError(f"background task {name!r} ended by itself")
