"""Events as a stream: in order, from where a listener was, bounded, and over when it has to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from controlplane.admin.errors import ApiError
from controlplane.admin.routers.events import Listeners, parts
from controlplane.events import Events
from servicekit.address import Address
from servicekit.http import HttpServer
from tests.harness.admin import TOKEN, Admin, running_admin
from tests.harness.ports import free_port


async def always() -> bool:
    """Go on."""
    return True


async def taken(events: Events, last_id: str | None, count: int, goes_on: Callable[[], Awaitable[bool]]) -> list[str]:
    """The first parts of a stream."""
    found = []
    async with aclosing(parts(events, last_id, goes_on, tick=0.01)) as stream:
        async for part in stream:
            found.append(part)
            if len(found) == count:
                break
    return found


async def test_events_come_in_order_from_where_a_listener_was() -> None:
    """With id, kind and data; what it has seen does not come again."""
    events = Events()
    listening = asyncio.create_task(taken(events, None, 3, always))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    events.publish("live", revision=1)
    events.publish("outcome", revision=1, text="a\nb")
    hello, first, second = await listening
    assert hello.startswith(":")
    lines = first.splitlines()
    assert lines[1] == "event: live"
    assert lines[2].startswith('data: {"at": ')
    assert "\n" not in second.split("data: ")[1].strip()
    again = await taken(events, lines[0].removeprefix("id: "), 2, always)
    assert again[1] == second


async def test_a_stream_ends_when_it_may_not_go_on() -> None:
    """Though events come all the time."""
    events = Events()
    answers = iter([True, False])

    async def twice() -> bool:
        return next(answers)

    async def busy() -> None:
        while True:
            events.publish("busy")
            await asyncio.sleep(0.001)

    noise = asyncio.create_task(busy())
    try:
        async with asyncio.timeout(5):
            assert len(await taken(events, None, 10**9, twice)) > 1
    finally:
        noise.cancel()


def test_listeners_are_counted() -> None:
    """Each has so many, and all together."""
    listeners = Listeners(most=3, most_of_one=2)
    for caller in ("a", "a", "b"):
        listeners.check(caller)
        listeners.enter(caller)
    for caller, status in (("a", 429), ("c", 503)):
        with pytest.raises(ApiError) as refused:
            listeners.check(caller)
        assert refused.value.response.status_code == status
    listeners.leave("a")
    listeners.check("c")


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    """With a document that is live."""
    async with running_admin(tmp_path) as made:
        yield made


async def listening(admin: Admin, end: Callable[[], object]) -> bytes:
    """What a real connection hears until the server ends it, after ``end``."""
    port = free_port()
    server = HttpServer(admin.app, Address(host="127.0.0.1", port=port))
    server.listen()
    serving = asyncio.create_task(server.run_until_stopped())
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            writer.write(head.encode())
            await reader.readuntil(b": hello")
            end()
            heard = await reader.readuntil(b"0\r\n\r\n")  # the last chunk: the answer is whole
            writer.close()
            await writer.wait_closed()
            return heard
    finally:
        server.should_exit = True
        await serving


async def test_a_process_that_stops_lets_listeners_go(admin: Admin) -> None:
    """Within about a second, with what has happened until then."""

    def end() -> None:
        admin.events.publish("last-words")
        admin.health.draining = True

    assert b"event: last-words" in await listening(admin, end)
