"""Envoy as far as the order of updates matters to it, on one aggregated stream, in either variant.

A new or changed cluster warms until its endpoints come; until then its former version, if there was one, takes the
traffic, and the acknowledgement of the clusters is held back. A new listener waits for its routes in the same way.
Whatever a listener in force routes to has to be in force too, at every moment.
"""

from __future__ import annotations

from collections import deque

from google.protobuf.any_pb2 import Any

from controlplane.xds.messages import DeltaRequest, Response, SotwRequest
from controlplane.xds.snapshot import Resource, Snapshot
from controlplane.xds.stream import Limits, Shared, StreamState
from controlplane.xds.types import CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION
from tests.unit.controlplane.xds.builders import resource

TYPES = (CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION)


def listener(name: str, routes: str) -> Resource:
    """A listener that takes the routes of this name."""
    return resource(LISTENER, name, routes)


def route_table(name: str, clusters: tuple[str, ...]) -> Resource:
    """Routes to these clusters."""
    return resource(ROUTE_CONFIGURATION, name, ",".join(clusters))


def _content(one: Resource) -> str:
    value: bytes = Any.FromString(one.body).value
    return value.decode().partition("=")[2]


class ModelEnvoy:
    """One proxy and its stream; ``shared`` is what the server's streams have in common."""

    def __init__(self, *, delta: bool, shared: Shared) -> None:
        self.delta = delta
        self._shared = shared
        self._streams = 0
        self.now = 0.0
        self.clusters: dict[str, str] = {}
        self.warming: dict[str, str] = {}
        self.endpoints: dict[str, str] = {}
        self.listeners: dict[str, str] = {}
        """Listeners in force, to the name of their routes."""
        self.waiting: dict[str, str] = {}
        self.routes: dict[str, tuple[str, ...]] = {}
        self.versions: dict[str, dict[str, str]] = {type_url: {} for type_url in TYPES}
        self.to_server: deque[SotwRequest | DeltaRequest] = deque()
        self.to_envoy: deque[Response] = deque()
        self._names: dict[str, set[str]] = {CLUSTER_LOAD_ASSIGNMENT: set(), ROUTE_CONFIGURATION: set()}
        self._info: dict[str, str] = {}
        self._nonces: dict[str, str] = {}
        self._held_ack: Response | None = None
        self._may_give_up = False
        self._begun: set[str] = set()

    def connect(self, snapshot: Snapshot | None) -> None:
        """A new stream; what is in force stays."""
        self._streams += 1
        self.server = StreamState(
            nonce_prefix=f"{self._streams}.", aggregated=True, shared=self._shared, limits=Limits()
        )
        self.server.aim(snapshot)
        self.to_server.clear()
        self.to_envoy.clear()
        self._nonces.clear()
        self._held_ack = None
        self._may_give_up = bool(self.warming)
        known, self._begun = self._begun, set()
        for type_url in TYPES:
            if type_url == CLUSTER or type_url in known:
                self._begin(type_url)
        if self.warming:  # Envoy says nothing of clusters while one is warming, on a new stream neither (1.40)
            self.to_server.popleft()
            self._begun.discard(CLUSTER)

    def deliver_request(self) -> None:
        """The oldest request reaches the server."""
        if self.to_server:
            self.server.take(self.to_server.popleft(), now=self.now)

    def emit(self) -> bool:
        """The server sends one response, if it wants to."""
        response = self.server.next_response(now=self.now)
        if response is not None:
            self.to_envoy.append(response)
        return response is not None

    def deliver_response(self) -> None:
        """The oldest response reaches Envoy."""
        if not self.to_envoy:
            return
        response = self.to_envoy.popleft()
        if self.delta:
            wanted = self._names.get(response.type_url, {one.name for one in response.resources})
            self.versions[response.type_url].update((r.name, r.version) for r in response.resources if r.name in wanted)
            for name in response.removed:
                self.versions[response.type_url].pop(name, None)
        self._info[response.type_url], self._nonces[response.type_url] = response.version, response.nonce
        take = {
            CLUSTER: self._take_clusters,
            CLUSTER_LOAD_ASSIGNMENT: self._take_endpoints,
            LISTENER: self._take_listeners,
            ROUTE_CONFIGURATION: self._take_routes,
        }[response.type_url]
        take(response)
        self._release()

    def step(self) -> bool:
        """Everything moves by one; whether anything did."""
        before = len(self.to_server) + len(self.to_envoy)
        self.deliver_request()
        sent = self.emit()
        self.deliver_response()
        return bool(before or sent or self.to_server or self.to_envoy)

    def rest(self) -> None:
        """Let everything arrive, and time pass where the server waits for it."""
        for _ in range(2000):
            if not self.step():
                if self.server.wake_at is not None:
                    self.now = max(self.now, self.server.wake_at)
                elif self.warming and self._may_give_up:
                    self._give_up()
                else:
                    return
        raise AssertionError("never comes to rest")

    def _give_up(self) -> None:
        """After ``initial_fetch_timeout``: what the stream that broke had begun may never be finished."""
        self.now += 15
        self.clusters |= self.warming
        self.warming.clear()
        self._may_give_up = False
        self._release()

    def dangling(self) -> set[str]:
        """Clusters that traffic is sent to and that are not in force."""
        used = {cluster for routes in self.listeners.values() for cluster in self.routes.get(routes, ())}
        return used - set(self.clusters)

    def _take_clusters(self, response: Response) -> None:
        for one in response.resources:
            if one.version not in (self.warming.get(one.name), self.clusters.get(one.name)):
                self.warming[one.name] = one.version
                self._names[CLUSTER_LOAD_ASSIGNMENT].add(one.name)
                self._want(CLUSTER_LOAD_ASSIGNMENT, subscribe=one.name)
        for name in self._gone(response, {*self.clusters, *self.warming}):
            self.clusters.pop(name, None)
            self.warming.pop(name, None)
            if name in self._names[CLUSTER_LOAD_ASSIGNMENT]:
                self._names[CLUSTER_LOAD_ASSIGNMENT].discard(name)
                self.versions[CLUSTER_LOAD_ASSIGNMENT].pop(name, None)
                self.endpoints.pop(name, None)
                self._want(CLUSTER_LOAD_ASSIGNMENT, unsubscribe=name)
        self._held_ack = response

    def _take_endpoints(self, response: Response) -> None:
        for one in response.resources:
            if one.name in self._names[CLUSTER_LOAD_ASSIGNMENT]:
                self.endpoints[one.name] = one.version
        for name in (*(one.name for one in response.resources), *response.removed):
            if name in self.warming:
                self.clusters[name] = self.warming.pop(name)
        self._answer(response)

    def _take_listeners(self, response: Response) -> None:
        for one in response.resources:
            routes = _content(one)
            self.waiting[one.name] = routes
            if routes not in self._names[ROUTE_CONFIGURATION]:
                self._names[ROUTE_CONFIGURATION].add(routes)
                self._want(ROUTE_CONFIGURATION, subscribe=routes)
        for name in self._gone(response, {*self.listeners, *self.waiting}):
            self.listeners.pop(name, None)
            self.waiting.pop(name, None)
        self._answer(response)
        self._enforce_listeners()

    def _take_routes(self, response: Response) -> None:
        for one in response.resources:
            if one.name in self._names[ROUTE_CONFIGURATION]:
                self.routes[one.name] = tuple(filter(None, _content(one).split(",")))
        self._answer(response)
        self._enforce_listeners()

    def _enforce_listeners(self) -> None:
        for name, routes in tuple(self.waiting.items()):
            if routes in self.routes:
                self.listeners[name] = self.waiting.pop(name)
        used = {*self.listeners.values(), *self.waiting.values()}
        for name in self._names[ROUTE_CONFIGURATION] - used:
            self._names[ROUTE_CONFIGURATION].discard(name)
            self.routes.pop(name, None)
            self.versions[ROUTE_CONFIGURATION].pop(name, None)
            self._want(ROUTE_CONFIGURATION, unsubscribe=name)

    def _gone(self, response: Response, held: set[str]) -> set[str]:
        if self.delta:
            return held & set(response.removed)
        return held - {one.name for one in response.resources}

    def _release(self) -> None:
        """Clusters are spoken of when all are warm; listeners are first asked for then."""
        if CLUSTER not in self._begun and not self.warming:
            self._begin(CLUSTER)
        if self._held_ack is not None and not self.warming:
            response, self._held_ack = self._held_ack, None
            self._answer(response)
            if LISTENER not in self._begun:
                self._begin(LISTENER)

    def _begin(self, type_url: str) -> None:
        self._begun.add(type_url)
        names = tuple(sorted(self._names.get(type_url, ())))
        if type_url in self._names and not names:
            self._begun.discard(type_url)
            return
        if self.delta:
            versions = dict(self.versions[type_url])
            self.to_server.append(DeltaRequest(type_url=type_url, subscribe=names, initial_versions=versions))
        else:
            self._list(type_url)

    def _want(self, type_url: str, *, subscribe: str | None = None, unsubscribe: str | None = None) -> None:
        if type_url not in self._begun:
            self._begin(type_url)
        elif self.delta:
            self.to_server.append(
                DeltaRequest(
                    type_url=type_url,
                    subscribe=(subscribe,) if subscribe else (),
                    unsubscribe=(unsubscribe,) if unsubscribe else (),
                )
            )
        else:
            self._list(type_url)

    def _answer(self, response: Response) -> None:
        if self.delta:
            self.to_server.append(DeltaRequest(type_url=response.type_url, nonce=response.nonce))
        else:
            self._list(response.type_url)

    def _list(self, type_url: str) -> None:
        self.to_server.append(
            SotwRequest(
                type_url=type_url,
                names=tuple(sorted(self._names.get(type_url, ()))),
                version=self._info.get(type_url, ""),
                nonce=self._nonces.get(type_url, ""),
            )
        )
