"""One stream: the subscriptions of one client by type, what they should have, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from controlplane.xds import types
from controlplane.xds.changes import Differ
from controlplane.xds.clusters import ClusterReader
from controlplane.xds.delta import DeltaSubscription
from controlplane.xds.errors import ProtocolError
from controlplane.xds.messages import SOTW_RESOURCE_FEATURES, TTL_FEATURE, DeltaRequest, Response, SotwRequest
from controlplane.xds.order import SEQUENCE, Order
from controlplane.xds.snapshot import EMPTY, EMPTY_SET, Snapshot, extended
from controlplane.xds.sotw import SotwSubscription
from controlplane.xds.subscription import Answer, Subscription

_MOST_KEPT = 10_000
"""Endpoints of clusters that are gone which are kept for one client, while it never acknowledges any cluster."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all streams of a server look up together."""

    differ: Differ = field(default_factory=Differ)
    clusters: ClusterReader = field(default_factory=ClusterReader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one client may ask for."""

    types: int = 64
    names: int = 200_000
    """Of one type."""
    name_length: int = 4096
    """Characters."""


class StreamState:
    """Everything that the server remembers of one stream. Pure; ``now`` is seconds of the caller's clock.

    Args:
        nonce_prefix: begins every nonce; no other stream may have the same.
        features: what the client announces (:data:`~controlplane.xds.messages.FEATURES`).
        aggregated: whether the client asks for all types on this stream (ADS), so that their order is in its hands.
    """

    def __init__(
        self,
        *,
        nonce_prefix: str,
        aggregated: bool,
        shared: Shared,
        limits: Limits,
        features: frozenset[str] = frozenset(),
    ) -> None:
        self._features = features
        self._aggregated = aggregated
        self.subscriptions: dict[str, Subscription] = {}
        self._shared = shared
        self._limits = limits
        self._snapshot: Snapshot | None = None
        self._nonces = self._count(nonce_prefix)
        self._order = Order(self.subscriptions, shared.clusters, aggregated=aggregated)
        self._endpoints = EMPTY_SET
        """Those of the snapshot, and what is kept of older ones for a while."""

    def take(self, request: SotwRequest | DeltaRequest, now: float) -> Answer | None:
        """Follow one request; return what it said to an outstanding response, if it answered one.

        Raises:
            ProtocolError: the client asks for more than it may, or for one type in both variants.
        """
        subscription = self.subscriptions.get(request.type_url)
        is_new = subscription is None
        if subscription is None:
            subscription = self._subscribe(request)
        if isinstance(request, SotwRequest) and isinstance(subscription, SotwSubscription):
            self._check(request.names, held=0)
            answer = subscription.take(request, now)
        elif isinstance(request, DeltaRequest) and isinstance(subscription, DeltaSubscription):
            self._check(request.subscribe, held=len(subscription.interest.names))
            self._check(request.initial_versions, held=0)
            answer = subscription.take(request, now)
        else:
            raise ProtocolError(f"both variants of {request.type_url} on one stream")
        if subscription.target is None:
            self._aim(subscription)
        if is_new:
            self._order.asked(request.type_url, now)
        if answer is not None:
            self._order.answered(request.type_url, answer, now)
        self._let_endpoints_go()
        return answer

    def aim(self, snapshot: Snapshot | None) -> None:
        """From now on the client should have ``snapshot``; with ``None`` it keeps what it has."""
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        self._order.new_snapshot()
        clusters = self.subscriptions.get(types.CLUSTER)
        if clusters is not None:
            self._aim(clusters)
        self._keep_leaving_endpoints(snapshot)
        for subscription in self.subscriptions.values():
            self._aim(subscription)

    def next_response(self, now: float) -> Response | None:
        """The next response to send, if there is one now."""
        self._order.wake_at = None
        for type_url in self._turns():
            subscription = self.subscriptions[type_url]
            subscription.note_drift(now)
            self._order.wake_no_later_than(subscription.lose_patience(now))
            if not subscription.settle() and self._order.may_send(type_url, now):
                removals = not self._aggregated or self._order.may_remove(type_url, now)
                response = subscription.next_response(removals=removals, now=now)
                if response is not None and subscription.outstanding is not None:
                    self._order.sent(type_url, subscription.outstanding)
                    return response
        return self._heartbeat(now)

    def _heartbeat(self, now: float) -> Response | None:
        for subscription in self.subscriptions.values():
            response = subscription.heartbeat(now)
            if response is not None:
                return response
            if subscription.outstanding is None:
                self._order.wake_no_later_than(subscription.heartbeat_at)
        return None

    @property
    def wake_at(self) -> float | None:
        """When to ask for the next response although nothing has happened since the last time."""
        return self._order.wake_at

    def _turns(self) -> list[str]:
        ordered = [type_url for type_url in SEQUENCE if type_url in self.subscriptions]
        return [*ordered, *(type_url for type_url in self.subscriptions if type_url not in SEQUENCE)]

    def _subscribe(self, request: SotwRequest | DeltaRequest) -> Subscription:
        if len(self.subscriptions) >= self._limits.types:
            raise ProtocolError(f"more than {self._limits.types} types on one stream")
        kind = SotwSubscription if isinstance(request, SotwRequest) else DeltaSubscription
        wrapped = kind is DeltaSubscription or bool(self._features & SOTW_RESOURCE_FEATURES)
        created = kind(
            type_url=request.type_url,
            differ=self._shared.differ,
            new_nonce=lambda: next(self._nonces),
            with_ttl=TTL_FEATURE in self._features and wrapped,
        )
        self.subscriptions[request.type_url] = created
        return created

    def _aim(self, subscription: Subscription) -> None:
        type_url = subscription.type_url
        if self._snapshot is None:
            subscription.aim(None)
            return
        if isinstance(subscription, SotwSubscription) and type_url in types.DELTA_ONLY:
            return
        # Of a type that nobody has heard of there is nothing to say, not even that it is empty.
        heard_of = type_url in types.KNOWN or type_url in self._snapshot.resources
        if heard_of or subscription.target is not None or not subscription.fresh:
            is_endpoints = type_url == types.CLUSTER_LOAD_ASSIGNMENT
            subscription.aim(self._endpoints if is_endpoints else self._snapshot.set_of(type_url))

    def _keep_leaving_endpoints(self, snapshot: Snapshot | None) -> None:
        """Keep endpoints that a cluster may wait for which is on its way out, or still on its way in.

        A client that waits for the endpoints of a cluster, and never gets them, acknowledges no cluster for 15 s.
        """
        endpoints = (snapshot or EMPTY).set_of(types.CLUSTER_LOAD_ASSIGNMENT)
        held, self._endpoints = self._endpoints, endpoints
        if self._aggregated and self._order.clusters_move:
            changed = self._shared.differ.between(held, endpoints)
            leaving = [held.resources[name] for name in changed if name not in endpoints.resources]
            if leaving:
                self._endpoints = extended(endpoints, leaving[-_MOST_KEPT:])

    def _let_endpoints_go(self) -> None:
        """When the clusters are gone, so are their endpoints."""
        if self._snapshot is None or self._order.clusters_move:
            return
        self._endpoints = self._snapshot.set_of(types.CLUSTER_LOAD_ASSIGNMENT)
        endpoints = self.subscriptions.get(types.CLUSTER_LOAD_ASSIGNMENT)
        if endpoints is not None and endpoints.target is not None:
            endpoints.aim(self._endpoints)

    def _check(self, names: Iterable[str], *, held: int) -> None:
        asked = list(names)
        if len(asked) + held > self._limits.names:
            raise ProtocolError(f"more than {self._limits.names} names of one type")
        if asked and max(map(len, asked)) > self._limits.name_length:
            raise ProtocolError(f"a name of more than {self._limits.name_length} characters")

    @staticmethod
    def _count(prefix: str) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"{prefix}{number:x}"
