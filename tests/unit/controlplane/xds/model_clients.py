"""Clients as the protocol describes them, kept simple: what the state machines are compared with.

Requests and responses wait in queues, so that they can cross on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from controlplane.xds.messages import WILDCARD, DeltaRequest, Response, SotwRequest
from controlplane.xds.snapshot import Resource, Snapshot
from controlplane.xds.stream import StreamState
from tests.unit.controlplane.xds.builders import stream

Request = DeltaRequest | SotwRequest


class Ledger:
    """What the server said on one stream, and what it had reason to say again."""

    def __init__(self, *, silent_removals: bool) -> None:
        self._silent_removals = silent_removals
        self.known: dict[str, str] = {}
        """The version last sent of each name; empty for one that was said not to exist."""
        self.free: set[str] = set()
        """Names that may be sent though they have not changed."""
        self.refused: list[dict[str, str]] = []
        self._last: tuple[str, dict[str, str]] = ("", {})
        self._listed: set[str] = set()

    def arrived(self, request: Request, versions: dict[str, str]) -> None:
        """The server took a request, while ``versions`` is what exists."""
        if isinstance(request, DeltaRequest):
            self.known |= request.initial_versions
            asked = {*request.subscribe, *request.unsubscribe}
        else:
            asked = set(request.names) - self._listed
            self._listed = set(request.names)
        self.free |= asked | (set(self.known) if WILDCARD in asked else set())
        nonce, told = self._last
        if request.error is not None and request.nonce == nonce:
            self.refused.append(told)
            self.changed(versions)

    def changed(self, versions: dict[str, str]) -> None:
        """There is a new snapshot: what was refused together with something that changed may be tried again."""
        released = [told for told in self.refused if any(versions.get(n, "") != v for n, v in told.items())]
        self.free.update(*released)
        if self._silent_removals:
            self.free.update(name for name in self.known if name not in versions)
        self.refused = [told for told in self.refused if told not in released]

    def sent(self, response: Response, *, whole: bool) -> None:
        """Every response has to have a reason."""
        told = {r.name: r.version for r in response.resources} | dict.fromkeys(response.removed, "")
        assert len(told) == len(response.resources) + len(response.removed), "the same name twice in a response"
        if whole:
            assert not self._last[0] or told != self.known or self.free, "sent the same whole again"
            self.known = told
        else:
            again = {n for n, v in told.items() if self.known.get(n) == v and n not in self.free}
            assert not again, f"sent again without need: {again}"
            self.known |= told
        self.free -= set(told) if not whole else self.free
        self._last = (response.nonce, told)


class ModelClient(ABC):
    """One type on one stream, and both queues."""

    whole = False
    silent_removals = False

    def __init__(self, type_url: str, *, refuses: Callable[[Resource], bool]) -> None:
        self.type_url = type_url
        self.names: set[str] = set()
        self.wildcard = False
        self.legacy = False
        self.held: dict[str, str] = {}
        self.refused: set[tuple[str, str]] = set()
        """Names and versions in responses that were refused on this stream, and not asked for since."""
        self._refuses = refuses
        self.server: StreamState = stream()
        self.to_server: deque[Request] = deque()
        self.to_client: deque[Response] = deque()
        self.ledger = self._new_ledger()
        self.responses = 0
        """Responses on this stream."""
        self._snapshot: Snapshot | None = None
        self.silent = True
        """Whether nothing was asked on this stream yet."""

    def covers(self, name: str) -> bool:
        """Whether the client wants this resource."""
        return self.wildcard or name in self.names

    def reconnect(self, snapshot: Snapshot | None) -> None:
        """Everything on the way is lost; what is held stays."""
        self.server = stream()
        self.ledger = self._new_ledger()
        self.publish(snapshot)
        self.to_server.clear()
        self.to_client.clear()
        self.responses = 0
        self.refused.clear()
        self.silent = True
        if not (self.names or self.wildcard):
            self.held.clear()
            return
        self._begin()

    def publish(self, snapshot: Snapshot | None) -> None:
        """The server has a new snapshot."""
        self._snapshot = snapshot
        self.server.aim(snapshot)
        self.ledger.changed(self._versions())

    def _versions(self) -> dict[str, str]:
        if self._snapshot is None:
            return {}
        return {name: r.version for name, r in self._snapshot.of_type(self.type_url).items()}

    def deliver_request(self) -> None:
        """The oldest request arrives."""
        if self.to_server:
            request = self.to_server.popleft()
            self.server.take(request, now=0)
            self.ledger.arrived(request, self._versions())

    def emit(self) -> Response | None:
        """The server sends what it wants to send."""
        response = self.server.next_response(now=0)
        if response is not None:
            self.responses += 1
            self.ledger.sent(response, whole=self.whole)
            self.to_client.append(response)
        return response

    def deliver_response(self) -> None:
        """The oldest response arrives; the client answers it."""
        if not self.to_client:
            return
        response = self.to_client.popleft()
        bad = [r.name for r in response.resources if self.covers(r.name) and self._refuses(r)]
        if bad:
            self.refused.update((r.name, r.version) for r in response.resources)
            self.refused.update((name, "") for name in response.removed)
            self._answer(response, error="refused: " + ", ".join(bad))
        else:
            for name in (*(r.name for r in response.resources), *response.removed):
                self._forget_refusal(name)
            self._apply(response)
            self._answer(response, error=None)

    def rest(self) -> None:
        """Let everything arrive until nobody has anything to say."""
        for _ in range(1000):
            self.deliver_request()
            if self.emit() is None and not self.to_server and not self.to_client:
                return
            self.deliver_response()
        raise AssertionError("client and server never come to rest")

    def _new_ledger(self) -> Ledger:
        return Ledger(silent_removals=self.silent_removals)

    def _forget_refusal(self, name: str) -> None:
        self.refused = {(held, version) for held, version in self.refused if held != name}

    @abstractmethod
    def subscribe(self, name: str) -> None:
        """Ask for a name; ask anew when it was asked for already."""

    @abstractmethod
    def unsubscribe(self, name: str) -> None:
        """Be no more interested in a name."""

    @abstractmethod
    def stray(self, error: str | None) -> None:
        """Answer a response that there never was."""

    @abstractmethod
    def _begin(self) -> None:
        """Say the first thing on a new stream."""

    @abstractmethod
    def _apply(self, response: Response) -> None:
        """Take over what was sent."""

    @abstractmethod
    def _answer(self, response: Response, error: str | None) -> None:
        """ACK or NACK."""


class DeltaClient(ModelClient):
    """Speaks the incremental variant."""

    def start_legacy(self) -> None:
        """Ask for everything without naming it."""
        self.wildcard = self.legacy = True
        self._say()

    def subscribe(self, name: str) -> None:
        """Ask for a name; what was held of it is dropped first."""
        if name == WILDCARD:
            if not self.legacy:  # naming what was meant all along drops nothing
                self.held = {kept: version for kept, version in self.held.items() if kept in self.names}
                self.refused = {(refused, v) for refused, v in self.refused if refused in self.names}
            self.wildcard, self.legacy = True, False
        else:
            self.names.add(name)
            self.held.pop(name, None)
            self._forget_refusal(name)
        self._say(subscribe=(name,))

    def unsubscribe(self, name: str) -> None:
        """Be no more interested in a name; what was held of it is dropped, though the wildcard may still cover it."""
        if name == WILDCARD:
            self.wildcard = self.legacy = False
            self.held = {kept: version for kept, version in self.held.items() if kept in self.names}
        elif name in self.names:
            self.names.discard(name)
            self.held.pop(name, None)
            self._forget_refusal(name)
        self._say(unsubscribe=(name,))

    def stray(self, error: str | None) -> None:
        """Answer a response that there never was."""
        self.to_server.append(DeltaRequest(type_url=self.type_url, nonce="stray", error=error))

    def _begin(self) -> None:
        asked = sorted(self.names)
        if self.wildcard and not (self.legacy and not asked):
            asked.append(WILDCARD)
        self._say(subscribe=tuple(asked))

    def _say(self, subscribe: tuple[str, ...] = (), unsubscribe: tuple[str, ...] = ()) -> None:
        versions = dict(self.held) if self.silent else {}
        self.silent = False
        self.to_server.append(
            DeltaRequest(
                type_url=self.type_url, subscribe=subscribe, unsubscribe=unsubscribe, initial_versions=versions
            )
        )

    def _apply(self, response: Response) -> None:
        self.held.update((r.name, r.version) for r in response.resources if self.covers(r.name))
        for name in response.removed:
            self.held.pop(name, None)

    def _answer(self, response: Response, error: str | None) -> None:
        self.to_server.append(DeltaRequest(type_url=self.type_url, nonce=response.nonce, error=error))


class SotwClient(ModelClient):
    """Speaks the state-of-the-world variant."""

    def __init__(self, type_url: str, *, whole: bool, refuses: Callable[[Resource], bool]) -> None:
        self.whole = whole
        self.silent_removals = not whole
        super().__init__(type_url, refuses=refuses)
        self.version = ""
        self.nonce = ""

    def start_legacy(self) -> None:
        """Ask for everything without naming it."""
        self.wildcard = self.legacy = True
        self._say()

    def subscribe(self, name: str) -> None:
        """Add a name to the list."""
        if name == WILDCARD:
            self.wildcard = True
        elif name not in self.names:  # a list with the name in it as before asks for nothing new
            self.names.add(name)
            self._forget_refusal(name)
        self.legacy = False
        self._say()

    def unsubscribe(self, name: str) -> None:
        """Take a name from the list."""
        if self.legacy:  # a client that never named anything can't take anything from its list
            self._say()
            return
        if name == WILDCARD:
            self.wildcard = False
            self.version = ""  # what is left is not what that version was
        self.names.discard(name)
        if not self.covers(name):
            self._forget_refusal(name)
        self.held = {kept: version for kept, version in self.held.items() if self.covers(kept)}
        self._say()

    def stray(self, error: str | None) -> None:
        """Answer a response that there never was, or an old one, with the names as they are."""
        self._say(nonce="stray", error=error)

    def _begin(self) -> None:
        self._say()

    def _say(self, *, nonce: str | None = None, error: str | None = None) -> None:
        self.silent = False
        asked = sorted(self.names)
        if self.wildcard and not self.legacy:
            asked.append(WILDCARD)
        self.to_server.append(
            SotwRequest(
                type_url=self.type_url,
                names=tuple(asked),
                version=self.version,
                nonce=self.nonce if nonce is None else nonce,
                error=error,
            )
        )

    def _apply(self, response: Response) -> None:
        news = {r.name: r.version for r in response.resources if self.covers(r.name)}
        self.held = news if self.whole else self.held | news
        self.version = response.version

    def _answer(self, response: Response, error: str | None) -> None:
        self.nonce = response.nonce
        self._say(error=error)
