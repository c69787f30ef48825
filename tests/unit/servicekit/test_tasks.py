"""Background tasks whose end is never silent."""

from __future__ import annotations

import asyncio

import pytest

from servicekit.tasks import TaskEndedError, guard


async def test_a_task_that_returns_is_an_error() -> None:
    """It should have run for ever."""

    async def returns() -> None:
        pass

    with pytest.raises(TaskEndedError, match="'watcher' ended by itself"):
        await guard("watcher", returns)


async def test_a_task_that_fails_keeps_its_cause() -> None:
    """The first error is the one to read."""

    async def fails() -> None:
        raise ValueError("why")

    with pytest.raises(TaskEndedError, match="'watcher' failed: why") as caught:
        await guard("watcher", fails)
    assert isinstance(caught.value.__cause__, ValueError)


async def test_cancelling_goes_through() -> None:
    """A stop is no failure."""
    task = asyncio.create_task(guard("watcher", asyncio.Event().wait))  # type: ignore[arg-type]  # the result is not read
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
