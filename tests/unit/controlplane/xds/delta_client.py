"""A client that speaks the incremental variant for one type, step by step."""

from __future__ import annotations

from controlplane.xds import types
from controlplane.xds.messages import DeltaRequest, Response
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import StreamState
from controlplane.xds.subscription import Answer
from tests.unit.controlplane.xds.builders import snapshot_of, stream

EDS = types.CLUSTER_LOAD_ASSIGNMENT


class Client:
    """Speaks for one type on a stream whose server has ``snapshot``."""

    def __init__(self, snapshot: Snapshot | None, type_url: str = EDS) -> None:
        self.type_url = type_url
        self.state: StreamState = stream()
        self.state.aim(snapshot)

    def ask(
        self,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        have: dict[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> Answer | None:
        """Send one request."""
        request = DeltaRequest(
            type_url=self.type_url,
            subscribe=subscribe,
            unsubscribe=unsubscribe,
            initial_versions=have or {},
            nonce=nonce,
            error=error,
        )
        return self.state.take(request, now=0)

    def receive(self) -> Response | None:
        """What the server sends, unanswered."""
        return self.state.next_response(now=0)

    def accept(self) -> Response:
        """Receive something and ACK it."""
        response = self.receive()
        assert response is not None, "nothing was sent"
        self.ask(nonce=response.nonce)
        return response

    def refuse(self, **request: tuple[str, ...]) -> Response:
        """Receive something and NACK it."""
        response = self.receive()
        assert response is not None, "nothing was sent"
        self.ask(
            *request.get("subscribe", ()), unsubscribe=request.get("unsubscribe", ()), nonce=response.nonce, error="no"
        )
        return response

    def publish(self, **contents: str) -> None:
        """Give the server another snapshot."""
        self.state.aim(snapshot_of(self.type_url, **contents))
