"""Make before break on one aggregated stream: what may be sent when, by what the client has acknowledged.

Clusters go first, then their endpoints, listeners, routes, virtual hosts, each after the client's ACK of the former;
clusters and endpoints that are not used any more go last. A client that was never sent a type is not held up: it has
nothing that could break, and it asks in the order that it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controlplane.xds import types
from controlplane.xds.snapshot import Resource
from controlplane.xds.subscription import Answer, Outstanding, Subscription
from controlplane.xds.warming import WarmingReader

SEQUENCE = (
    types.CLUSTER,
    types.CLUSTER_LOAD_ASSIGNMENT,
    types.LISTENER,
    types.SCOPED_ROUTE_CONFIGURATION,
    types.ROUTE_CONFIGURATION,
    types.VIRTUAL_HOST,
)
_USERS_OF_CLUSTERS = SEQUENCE[2:]
_BRINGS_NEW_ROUTES = frozenset({types.LISTENER, types.SCOPED_ROUTE_CONFIGURATION})

SETTLING_SECONDS = 1.0
"""How long routes wait for what a new cluster needs and the server can't see, and old clusters for a client that is
about to ask for the routes of a new listener."""


class Order:
    """The gates of one stream. ``subscriptions`` is the stream's own mapping, which grows as the client asks."""

    def __init__(self, subscriptions: Mapping[str, Subscription], reader: WarmingReader) -> None:
        self._subscriptions = subscriptions
        self._reader = reader
        self._revision = 0
        self._refused_in: dict[str, int] = {}
        self._new_clusters: tuple[Resource, ...] = ()
        self._new_clusters_at = 0.0
        self._listeners_at = float("-inf")
        self.wake_at: float | None = None
        """When to look again although nothing has happened; set while a gate waits for time to pass."""

    def new_snapshot(self) -> None:
        """The stream has new targets."""
        self._revision += 1

    def sent(self, type_url: str, outstanding: Outstanding) -> None:
        """A response is on its way.

        A changed cluster waits for its endpoints anew, and a client that has them does not ask again. Envoy holds back
        the ACK of clusters until they are warm, so the endpoints have to follow at once and not after the ACK.
        """
        endpoints = self._subscriptions.get(types.CLUSTER_LOAD_ASSIGNMENT)
        if type_url == types.CLUSTER and endpoints is not None:
            for resource in outstanding.changed:
                name = self._reader.read(resource).endpoints
                if name is not None:
                    endpoints.resend(name)

    def answered(self, type_url: str, answer: Answer, now: float) -> None:
        """The client has acknowledged or refused a response."""
        if not answer.accepted:
            self._refused_in[type_url] = self._revision
        elif type_url in _BRINGS_NEW_ROUTES:
            self._listeners_at = now
        if type_url == types.CLUSTER:
            self._clusters_answered(answer, now)

    def _clusters_answered(self, answer: Answer, now: float) -> None:
        """Routes wait for new clusters. A refused response may have been applied in part."""
        if answer.outstanding.added:
            still_new = self._new_clusters if now < self._new_clusters_at + SETTLING_SECONDS else ()
            self._new_clusters = (*still_new, *answer.outstanding.added)
            self._new_clusters_at = now

    def may_send(self, type_url: str, now: float) -> bool:
        """Whether additions and changes of this type may go now."""
        if type_url not in _USERS_OF_CLUSTERS or self._subscriptions[type_url].fresh:
            return True  # endpoints too: a client warms clusters with them before it acknowledges the clusters
        earlier = list(self._present(SEQUENCE[: SEQUENCE.index(type_url)]))
        if any(s.outstanding is not None or s.wants_to_send(removals=False) for s in earlier):
            return False
        return not any(self._refused_now(s) for s in earlier) and not self._is_warming(now)

    def _refused_now(self, subscription: Subscription) -> bool:
        """What came with a refused response is held back. A later snapshot is not: one mistake must not stop all."""
        return subscription.refused and self._refused_in.get(subscription.type_url) == self._revision

    def may_remove(self, type_url: str, now: float) -> bool:
        """Whether resources of this type may be taken away now."""
        if type_url not in SEQUENCE or type_url in _USERS_OF_CLUSTERS:
            return True
        users = list(self._present(_USERS_OF_CLUSTERS))
        if any(s.outstanding is not None or s.refused or s.wants_to_send(removals=True) for s in users):
            return False
        others = self._present(tuple(url for url in SEQUENCE[:2] if url != type_url))
        if any(s.outstanding is not None or s.wants_to_send(removals=False) for s in others):
            return False
        if type_url == types.CLUSTER_LOAD_ASSIGNMENT and self._clusters_leave():
            return False
        return self._has_passed(self._listeners_at + SETTLING_SECONDS, now)

    def _clusters_leave(self) -> bool:
        clusters = self._subscriptions.get(types.CLUSTER)
        return clusters is not None and clusters.wants_to_send(removals=True)

    def _is_warming(self, now: float) -> bool:
        """Whether a cluster just added may not take traffic yet."""
        if not self._new_clusters or self._has_passed(self._new_clusters_at + SETTLING_SECONDS, now):
            self._new_clusters = ()
            return False
        if any(self._waits(resource) for resource in self._new_clusters):
            return True
        self._new_clusters = ()
        return False

    def _waits(self, resource: Resource) -> bool:
        warming = self._reader.read(resource)
        if warming.unseen:
            return True
        endpoints = self._subscriptions.get(types.CLUSTER_LOAD_ASSIGNMENT)
        if warming.endpoints is None:
            return False
        return endpoints is None or not endpoints.has(warming.endpoints)

    def _has_passed(self, moment: float, now: float) -> bool:
        if now >= moment:
            return True
        self.wake_at = moment if self.wake_at is None else min(moment, self.wake_at)
        return False

    def _present(self, type_urls: tuple[str, ...]) -> Iterator[Subscription]:
        return (self._subscriptions[url] for url in type_urls if url in self._subscriptions)
