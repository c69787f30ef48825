"""What happens, as server-sent events (WHATWG HTML §9.2). Nothing is kept for a listener but its place."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response, StreamingResponse

from controlplane.admin.errors import ApiError, declared
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs
from controlplane.admin.security.guard import read_credentials
from controlplane.admin.security.identity import Authenticator, Credentials, Role, Unprovable
from controlplane.events import Event, Events
from servicekit.health import Health

TICK_SECONDS = 1.0
"""How soon a listener is let go whose credentials have ended, or when the process stops."""
HEARTBEAT_SECONDS = 15.0
MOST_LISTENERS = 200
MOST_OF_ONE = 10

_MEDIA_TYPE = "text/event-stream"


class Listeners:
    """How many there are, in all and of each caller."""

    def __init__(self, *, most: int = MOST_LISTENERS, most_of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._of: Counter[str] = Counter()

    def check(self, caller: str) -> None:
        """Refuse one more that would be too many.

        Raises:
            ApiError: 429, the caller has enough; 503, all have.
        """
        if self._of[caller] >= self._most_of_one:
            raise ApiError(429, "too-many-listeners", "You listen often enough.", headers={"retry-after": "5"})
        if self._of.total() >= self._most:
            raise ApiError(503, "too-many-listeners", "There are too many listeners.", headers={"retry-after": "5"})

    def enter(self, caller: str) -> None:
        """One more."""
        self._of[caller] += 1

    def leave(self, caller: str) -> None:
        """One less."""
        self._of[caller] -= 1
        if not self._of[caller]:
            del self._of[caller]


def events_router(
    events: Events, health: Health, authenticator: Authenticator, listeners: Listeners, *, tick: float = TICK_SECONDS
) -> APIRouter:
    """The stream of events."""
    router = api_router("events")
    may_read = Needs(Role.VIEWER)
    content = {_MEDIA_TYPE: {"schema": {"type": "string"}}}

    @router.get("/events", response_class=Response, responses={200: {"content": content}, **declared(422)})
    async def stream_events(
        request: Request,
        last_event_id: str | None = Header(
            None, alias="Last-Event-ID", max_length=100, description="The last event that you have seen."
        ),
        access: Access = Depends(may_read),
    ) -> Response:
        """What happens from now on, or what happened after `Last-Event-ID` as far as it is remembered."""
        if getattr(request.state, "head", False):
            return Response(media_type=_MEDIA_TYPE)
        caller = access.identity.key
        listeners.check(caller)

        async def goes_on() -> bool:
            return not health.draining and await _is_known(authenticator, read_credentials(request.scope))

        async def body() -> AsyncIterator[str]:
            listeners.enter(caller)
            try:
                async for part in parts(events, last_event_id, goes_on, tick):
                    yield part
            finally:
                listeners.leave(caller)

        return StreamingResponse(body(), media_type=_MEDIA_TYPE)

    return router


async def parts(
    events: Events, last_id: str | None, goes_on: Callable[[], Awaitable[bool]], tick: float
) -> AsyncGenerator[str, None]:
    """The pieces of a stream, until it may not go on.

    Args:
        events: what happens.
        last_id: the last event that the listener has seen; ``None`` for what is to come.
        goes_on: whether it may.
        tick: seconds between two times that this is asked.
    """
    yield ": hello\n\n"
    clock = asyncio.get_running_loop().time
    async with aclosing(events.subscribe(last_id)) as happening:
        following = asyncio.ensure_future(anext(happening))
        try:
            looked_at = spoken_at = clock()
            while True:
                await asyncio.wait({following}, timeout=tick)
                if clock() - looked_at >= tick:
                    looked_at = clock()
                    if not await goes_on():
                        return
                if following.done():
                    spoken_at = clock()
                    yield _written(following.result())
                    following = asyncio.ensure_future(anext(happening))
                elif clock() - spoken_at >= HEARTBEAT_SECONDS:
                    spoken_at = clock()
                    yield ": still here\n\n"
        finally:
            following.cancel()
            await asyncio.wait({following})


async def _is_known(authenticator: Authenticator, credentials: Credentials) -> bool:
    try:
        return await authenticator.identify(credentials) is not None
    except Unprovable:
        return True  # whoever was let in is not thrown out for the fault of a store


def _written(event: Event) -> str:
    data = json.dumps({"at": event.at.isoformat(), **event.data}, default=str)
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n"
