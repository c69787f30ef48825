"""Make before break on one aggregated stream: what may be sent when, by what the client has acknowledged.

Clusters go first, then their endpoints, listeners, routes, virtual hosts, each after the client's ACK of the former;
clusters and endpoints that are not used any more go last. A client that was never sent a type waits for a moment only:
it has nothing that could break, and it asks in the order that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controlplane.xds import types
from controlplane.xds.clusters import ClusterReader
from controlplane.xds.snapshot import Resource
from controlplane.xds.subscription import PATIENCE_SECONDS, Answer, Outstanding, Subscription

SEQUENCE = (
    types.CLUSTER,
    types.CLUSTER_LOAD_ASSIGNMENT,
    types.LISTENER,
    types.SCOPED_ROUTE_CONFIGURATION,
    types.ROUTE_CONFIGURATION,
    types.VIRTUAL_HOST,
)
_USERS_OF_CLUSTERS = SEQUENCE[2:]

SETTLING_SECONDS = 1.0
"""How long is waited for what a client is about to ask for: endpoints of a new cluster, routes of a new listener, all
that it has after a reconnect; and for requests that are on their way to a cluster that no route leads to any more. Also
the longest that a client waits for its first listeners while it leaves clusters unanswered."""


class Order:
    """The gates of one stream.

    Args:
        subscriptions: the stream's own mapping, which grows as the client asks.
        reader: reads clusters.
        aggregated: whether the client asks for everything on this stream.
    """

    def __init__(self, subscriptions: Mapping[str, Subscription], reader: ClusterReader, *, aggregated: bool) -> None:
        self._subscriptions = subscriptions
        self._reader = reader
        self._aggregated = aggregated
        self._revision = 0
        self._refused_in: dict[str, int] = {}
        self._new_clusters: tuple[Resource, ...] = ()
        self._new_clusters_at = 0.0
        self._users_at = float("-inf")
        self._changed_clusters: list[Resource] = []
        """Sent before the client asked for endpoints on this stream."""
        self._claimed_at = float("-inf")
        self.wake_at: float | None = None
        """When to look again although nothing has happened; set while a gate waits for time to pass."""

    def new_snapshot(self) -> None:
        """The stream has new targets."""
        self._revision += 1

    def asked(self, type_url: str, now: float) -> None:
        """The client has asked for a type for the first time on this stream.

        Envoy says nothing of clusters while one is warming, on a new stream neither (1.40). The endpoints that the
        cluster waits for are among those that Envoy says it has: it had them for the cluster's former version.
        """
        if type_url in SEQUENCE and not self._subscriptions[type_url].fresh:
            self._claimed_at = now
        if type_url == types.CLUSTER_LOAD_ASSIGNMENT:
            endpoints = self._subscriptions[type_url]
            for name in (
                self._endpoints_of(self._changed_clusters) if self._asked_for_clusters else endpoints.interest.names
            ):
                endpoints.resend(name)
            self._changed_clusters.clear()

    def sent(self, type_url: str, outstanding: Outstanding) -> None:
        """A response is on its way.

        A changed cluster waits for its endpoints anew, and a client that has them does not ask again. Envoy holds back
        the ACK of clusters until they are warm, so the endpoints have to follow at once and not after the ACK.
        """
        if type_url != types.CLUSTER:
            return
        endpoints = self._subscriptions.get(types.CLUSTER_LOAD_ASSIGNMENT)
        if endpoints is None:
            self._changed_clusters += outstanding.changed
            return
        for name in self._endpoints_of(outstanding.changed):
            endpoints.resend(name)

    def answered(self, type_url: str, answer: Answer, now: float) -> None:
        """The client has acknowledged or refused a response."""
        if not answer.accepted:
            self._refused_in[type_url] = self._revision
        elif type_url in _USERS_OF_CLUSTERS:
            self._users_at = now
        elif type_url == types.CLUSTER:
            self._clusters_answered(answer, now)

    def _clusters_answered(self, answer: Answer, now: float) -> None:
        """Routes wait for the endpoints of new clusters. Envoy has them by now; others may be about to ask."""
        if answer.outstanding.added:
            still_new = self._new_clusters if now < self._new_clusters_at + SETTLING_SECONDS else ()
            self._new_clusters = (*still_new, *answer.outstanding.added)
            self._new_clusters_at = now

    def may_send(self, type_url: str, now: float) -> bool:
        """Whether additions and changes of this type may go now."""
        if type_url not in _USERS_OF_CLUSTERS:
            return True  # endpoints too: a client warms clusters with them before it acknowledges the clusters
        earlier = list(self._present(SEQUENCE[: SEQUENCE.index(type_url)]))
        fresh = self._subscriptions[type_url].fresh  # then it has nothing that could break
        patience = SETTLING_SECONDS if fresh else PATIENCE_SECONDS
        if any(self._is_ahead(one, now, patience=patience) for one in earlier):
            return False
        refused = not fresh and any(self._refused_now(one) for one in earlier)
        return not refused and not self._is_warming(now) and not self._was_warming(fresh, now)

    def _is_ahead(self, earlier: Subscription, now: float, *, patience: float) -> bool:
        """Whether an earlier type comes first."""
        if earlier.outstanding is None:
            return earlier.wants_to_send(removals=False)
        return not self._has_passed(earlier.outstanding.sent_at + patience, now)

    def _refused_now(self, subscription: Subscription) -> bool:
        """What came with a refused response is held back. A later snapshot is not: one mistake must not stop all."""
        return subscription.refused and self._refused_in.get(subscription.type_url) == self._revision

    def may_remove(self, type_url: str, now: float) -> bool:
        """Whether resources of this type may be taken away now.

        Requests that a proxy took before its new routes are still on their way to the clusters of its former ones:
        they wait for an answer of ext_authz, or to be tried again.
        """
        if type_url != types.CLUSTER:
            return True
        users = list(self._present(_USERS_OF_CLUSTERS))
        if any(s.outstanding is not None or s.refused or s.wants_to_send(removals=True) for s in users):
            return False
        endpoints = self._subscriptions.get(types.CLUSTER_LOAD_ASSIGNMENT)
        if endpoints is not None and (endpoints.outstanding is not None or endpoints.wants_to_send(removals=False)):
            return False
        return self._has_passed(max(self._users_at, self._claimed_at) + SETTLING_SECONDS, now)

    @property
    def clusters_move(self) -> bool:
        """Whether the client holds clusters, or is about to, that it is not to keep."""
        clusters = self._subscriptions.get(types.CLUSTER)
        return clusters is not None and (clusters.outstanding is not None or clusters.wants_to_send(removals=True))

    def _is_warming(self, now: float) -> bool:
        """Whether a cluster just added has no endpoints yet."""
        if not self._new_clusters or self._has_passed(self._new_clusters_at + SETTLING_SECONDS, now):
            self._new_clusters = ()
            return False
        if any(self._waits(resource) for resource in self._new_clusters):
            return True
        self._new_clusters = ()
        return False

    def _was_warming(self, fresh: bool, now: float) -> bool:
        """Whether a client that was here before may still be warming what it got on its last stream."""
        return not (fresh or self._asked_for_clusters or self._has_passed(self._claimed_at + SETTLING_SECONDS, now))

    @property
    def _asked_for_clusters(self) -> bool:
        return not self._aggregated or types.CLUSTER in self._subscriptions

    def _endpoints_of(self, clusters: Iterable[Resource]) -> Iterator[str]:
        names = (self._reader.endpoints_of(resource) for resource in clusters)
        return (name for name in names if name is not None)

    def _waits(self, resource: Resource) -> bool:
        name = self._reader.endpoints_of(resource)
        endpoints = self._subscriptions.get(types.CLUSTER_LOAD_ASSIGNMENT)
        return name is not None and (endpoints is None or not endpoints.has(name))

    def _has_passed(self, moment: float, now: float) -> bool:
        if now >= moment:
            return True
        self.wake_no_later_than(moment)
        return False

    def wake_no_later_than(self, moment: float | None) -> None:
        """Look again then, if it is sooner than what was said before."""
        if moment is not None:
            self.wake_at = moment if self.wake_at is None else min(moment, self.wake_at)

    def _present(self, type_urls: tuple[str, ...]) -> Iterator[Subscription]:
        return (self._subscriptions[url] for url in type_urls if url in self._subscriptions)
