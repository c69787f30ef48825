"""Events: nothing is lost within the bound, nothing blocks beyond it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st

from controlplane.events import Event, Events


async def _take(events: Events, count: int, after: str | None = None) -> list[Event]:
    async with asyncio.timeout(5), aclosing(events.subscribe(after)) as stream:
        return [await anext(stream) for _ in range(count)]


async def test_a_listener_hears_what_happens_after_it_came() -> None:
    """What was before is not repeated to somebody who names no event."""
    events = Events()
    events.publish("before")
    async with asyncio.timeout(5), aclosing(events.subscribe()) as stream:
        events.publish("one", number=1)
        events.publish("two")
        heard = [await anext(stream) for _ in range(2)]
    assert [(event.kind, dict(event.data)) for event in heard] == [("one", {"number": 1}), ("two", {})]


async def test_a_listener_that_comes_back_misses_nothing() -> None:
    """The id of the last event that it heard brings what came since."""
    events = Events()
    for kind in "abc":
        events.publish(kind)
    first = events.after("other-run-0")[0]
    assert [event.kind for event in await _take(events, 2, first.id)] == ["b", "c"]
    assert [event.kind for event in events.after(first.id)] == ["b", "c"]


async def test_a_slow_listener_loses_the_oldest_and_sees_the_gap() -> None:
    """There is no queue for it that could grow."""
    events = Events(bound=3)
    async with asyncio.timeout(5), aclosing(events.subscribe()) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        events.publish("0")
        assert (await waiting).kind == "0"
        for number in range(1, 10):
            events.publish(str(number))
        heard = [await anext(stream) for _ in range(3)]
    assert [event.kind for event in heard] == ["7", "8", "9"]
    assert heard[0].id.endswith("-8"), "numbers have no gaps, so this one says that seven were missed"


@given(st.text())
def test_any_text_may_be_an_id(event_id: str) -> None:
    """Ids come back from clients as they like: an unknown one means all that is remembered."""
    events = Events()
    events.publish("kept")
    assert [event.kind for event in events.after(event_id)] == ["kept"]
