"""One request to a cached route from its first message to its last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from envoy.service.ext_proc.v3.external_processor_pb2 import ProcessingRequest, ProcessingResponse

from response_cache import cache_status, conditional, messages
from response_cache.flights import Flight, FlightKey, Flights, Landing
from response_cache.freshness import Lifetime, NotKept, judge
from response_cache.metrics import Metrics
from response_cache.requests import SAFE, Asked, Key
from response_cache.store import OVERHEAD, Answer, Headers, Store
from servicekit.contracts.purge import Purge

_LEAST_ERROR: Final = 500
_STOOD_IN_FOR: Final = frozenset({500, 502, 503, 504})
"""RFC 5861 §4. What Envoy itself answers for an upstream that does not is one of them."""
_SHARE: Final = 4
"""Of the store's capacity, the part that may be on its way into it."""
_ANSWER_SECONDS: Final = 2.0
"""For which Envoy waits on for this process when its patience has ended."""
_OF_304: Final = frozenset(
    {"age", "cache-control", "cache-status", "content-location", "date", "etag", "expires", "last-modified", "vary"}
)
"""RFC 9110 §15.4.5."""


class Line(Protocol):
    """The other end: Envoy, about this one request."""

    async def send(self, response: ProcessingResponse) -> None:
        """Say what becomes of the request."""

    async def receive(self) -> ProcessingRequest | None:
        """What came of it next; ``None`` when nothing more will."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What all requests have in common."""

    store: Store
    flights: Flights
    metrics: Metrics
    clock: Callable[[], float]
    """Seconds that never go back."""
    wall: Callable[[], float]
    """Seconds since the epoch."""
    collecting: int = field(default=0, init=False)
    """Bytes of bodies on their way into the store."""

    def forget(self, purge: Purge | None) -> int:
        """Forget what ``purge`` means, on its way here too; ``None`` is everything. How many answers those were."""

        def is_meant(key: Key) -> bool:
            return purge is None or purge.means(key.route, key.target.partition("?")[0])

        self.flights.ground(is_meant)
        return self.store.purge(is_meant)


class Exchange:
    """Answers one request from the store, or watches what its upstream answers."""

    def __init__(self, shared: Shared, asked: Asked, line: Line) -> None:
        self._shared = shared
        self._asked = asked
        self._line = line
        self._key = asked.key()
        self._waited = False

    async def run(self) -> None:
        """From the request to the end of the answer."""
        if why := self._asked.passes_by():
            await self._watch("bypass", detail=why)
            return
        patience_ends = self._shared.clock() + self._asked.rule.patience
        while True:
            answer = self._find()
            if answer is not None and answer.left(self._shared.clock()) > 0:
                await self._hit(answer)
                return
            place = self._key, self._shared.store.variant(self._key, self._asked.headers)
            flight = self._shared.flights.to_wait_for(place)
            if flight is None:
                break
            landing = await self._wait(flight, patience_ends)
            if landing is Landing.STALE and answer is not None:
                await self._line.send(messages.at_once(*self._standing_in(answer, flight.failed_with, collapsed=True)))
                return
            if landing not in (Landing.KEPT, Landing.LOST):
                break
        if self._asked.method == "GET":
            await self._lead(place, answer)
        else:
            await self._watch("miss")

    def _find(self) -> Answer | None:
        return self._shared.store.find(self._key, self._asked.headers, self._shared.clock())

    async def _wait(self, flight: Flight, patience_ends: float) -> Landing | None:
        """How the other request ended; ``None`` if it takes too long."""
        if not self._waited:
            self._waited = True
            await self._line.send(messages.wait_for_me(self._asked.rule.patience + _ANSWER_SECONDS))
        return await flight.landing(max(0.0, patience_ends - self._shared.clock()))

    def _standing_in(self, answer: Answer, failed_with: int, *, collapsed: bool) -> tuple[int, Headers, bytes]:
        """Status, headers and body of an answer that is over, for the client."""
        self._count("stale")
        now = self._shared.clock()
        line = cache_status.stood_in(answer.left(now), failed_with, collapsed=collapsed)
        return answer.status, _served(answer, now, line), answer.body

    async def _hit(self, answer: Answer) -> None:
        now = self._shared.clock()
        self._count("collapsed" if self._waited else "hit")
        headers = _served(answer, now, cache_status.hit(answer.left(now), collapsed=self._waited))
        if answer.status == 200 and conditional.has_it(self._asked.headers, dict(answer.headers)):
            headers = tuple(pair for pair in headers if pair[0] in _OF_304)
            await self._line.send(messages.at_once(304, headers, b""))
        else:
            await self._line.send(messages.at_once(answer.status, headers, answer.body))

    async def _watch(self, why: str, *, detail: str = "") -> None:
        """Keep nothing; what a request has changed is kept no longer."""
        await self._line.send(messages.request_goes_on())
        message = await self._line.receive()
        if message is None:
            return
        self._count(why)
        asked = self._asked
        status, _, _ = messages.answered(message)
        if asked.method not in SAFE and 200 <= status < 400:
            self._shared.store.forget((asked.scheme, asked.host, asked.target))
        await self._line.send(messages.response_goes_on(cache_status.forwarded(why, detail=detail)))

    async def _lead(self, place: FlightKey, stale: Answer | None) -> None:
        """Go to the upstream, while others like it wait.

        They are told before the client is answered: a request that comes after the answer is not to wait for it.
        """
        flight = self._shared.flights.begin(place)

        def land(how: Landing) -> None:
            self._shared.flights.end(place, flight, Landing.LOST if flight.grounded else how)

        try:
            asked_at = self._shared.wall()
            # A 304 has nothing in it that could be kept.
            await self._line.send(messages.request_goes_on(without=conditional.PRECONDITIONS))
            message = await self._line.receive()
            if message is None:
                return
            if not flight.grounded and (instead := self._instead(stale, message, flight)) is not None:
                land(Landing.STALE)
                await self._line.send(instead)
                return
            self._count("miss")
            why = "uri-miss" if place[1] is None else "vary-miss" if stale is None else "stale"
            await self._pass_on(message, flight, asked_at, why, land)
        finally:
            land(Landing.LOST)

    def _instead(self, stale: Answer | None, message: ProcessingRequest, flight: Flight) -> ProcessingResponse | None:
        """The kept answer that the client gets instead of this one, if there is one and this is a failure."""
        if stale is None or not stale.may_stand_in(self._shared.clock()):
            return None
        status, headers, _ = messages.answered(message)
        if status not in _STOOD_IN_FOR:
            return None
        flight.failed_with = status
        return messages.instead(*self._standing_in(stale, status, collapsed=False), of=headers)

    async def _pass_on(
        self, message: ProcessingRequest, flight: Flight, asked_at: float, why: str, land: Callable[[Landing], None]
    ) -> None:
        """Let the client have the answer, and keep it if that may be."""
        status, headers, kept = messages.answered(message)
        verdict = judge(status, headers, self._asked.rule, asked_at=asked_at, now=self._shared.wall())
        if isinstance(verdict, Lifetime) and _length(headers) > self._asked.rule.max_body:
            verdict = NotKept("too-large")
        if isinstance(verdict, NotKept):
            land(Landing.FAILED if status >= _LEAST_ERROR else Landing.ALONE)
            await self._line.send(messages.response_goes_on(cache_status.forwarded(why, detail=verdict.reason)))
            return
        came_at = self._shared.clock()
        goes_on = messages.response_goes_on(cache_status.forwarded(why, stored=True))
        body: bytes | None = b""
        if not message.response_headers.end_of_stream:
            await self._line.send(messages.with_body(goes_on))
            goes_on, body = messages.BODY_PASSES, await self._collect()
        how = Landing.ALONE
        if body is not None and not flight.grounded:
            answer = self._answer(status, kept, body, verdict, came_at)
            if self._shared.store.put(self._key, self._asked.headers, answer, _varies_by(headers)):
                how = Landing.KEPT
        land(how)
        await self._line.send(goes_on)

    async def _collect(self) -> bytes | None:
        """The body as it goes by; ``None`` if it did not come whole, or is more than may be kept."""
        parts: list[bytes] = []
        size = 0
        try:
            while (message := await self._line.receive()) is not None:
                part = message.response_body
                size += len(part.body)
                self._shared.collecting += len(part.body)
                if size > self._asked.rule.max_body or self._shared.collecting > self._shared.store.capacity // _SHARE:
                    return None
                parts.append(part.body)
                if part.end_of_stream:
                    return b"".join(parts)
                await self._line.send(messages.BODY_PASSES)
            return None
        finally:
            self._shared.collecting -= size

    def _answer(self, status: int, headers: Headers, body: bytes, lifetime: Lifetime, came_at: float) -> Answer:
        size = OVERHEAD + len(body) + sum(len(name) + len(value) for name, value in headers)
        size += sum(map(len, self._key))
        return Answer(status=status, headers=headers, body=body, lifetime=lifetime, came_at=came_at, size=size)

    def _count(self, outcome: str) -> None:
        self._shared.metrics.request(self._asked.rule.route, outcome)


def _served(answer: Answer, now: float, line: str) -> Headers:
    return (*answer.headers, ("age", str(int(answer.age(now)))), ("cache-status", line))


def _varies_by(headers: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted({name.strip().lower() for name in headers.get("vary", "").split(",")} - {""}))


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
