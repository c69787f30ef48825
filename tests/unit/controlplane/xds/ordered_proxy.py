"""A proxy on one aggregated delta stream, step by step, and snapshots for it."""

from __future__ import annotations

from controlplane.xds.messages import DeltaRequest, Response
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.types import CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION
from tests.unit.controlplane.xds.builders import eds_cluster, endpoints, resource, stream

EDS, RDS = CLUSTER_LOAD_ASSIGNMENT, ROUTE_CONFIGURATION


def generation(content: str, *clusters: str) -> Snapshot:
    """A snapshot in which everything but the clusters' names depends on ``content``."""
    return Snapshot.of(
        [
            *(eds_cluster(name, timeout=int(content)) for name in clusters),
            *(endpoints(name, content) for name in clusters),
            resource(LISTENER, "l", content),
            resource(RDS, "r", content),
        ]
    )


class Proxy:
    """A delta client that has acknowledged ``snapshot``; ``now`` is its clock."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.now = 0.0
        self.state = stream(aggregated=True)
        self.state.aim(snapshot)
        self.ask(CLUSTER)
        self.ask(EDS, *snapshot.of_type(EDS))
        self.ask(LISTENER)
        self.ask(RDS, "r")
        while (response := self.receive()) is not None:
            self.answer(response)
        self.now += 60

    def ask(self, type_url: str, *subscribe: str) -> None:
        """Subscribe; without names, to everything."""
        self.state.take(DeltaRequest(type_url=type_url, subscribe=subscribe), now=self.now)

    def receive(self) -> Response | None:
        """What is sent now."""
        return self.state.next_response(now=self.now)

    def answer(self, response: Response, error: str | None = None) -> None:
        """ACK or NACK."""
        self.state.take(DeltaRequest(type_url=response.type_url, nonce=response.nonce, error=error), now=self.now)

    def expect(self, type_url: str) -> Response:
        """Receive a response of this type."""
        response = self.receive()
        assert response is not None, "nothing was sent"
        assert response.type_url == type_url
        return response

    def nothing(self) -> None:
        """Nothing is sent now."""
        assert self.receive() is None
