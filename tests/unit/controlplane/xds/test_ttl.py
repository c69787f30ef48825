"""Resources with a time to live: said to live on, to clients that know what that is."""

from __future__ import annotations

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from controlplane.xds import types
from controlplane.xds.messages import FEATURES, TTL_FEATURE, DeltaRequest, Response, SotwRequest
from controlplane.xds.snapshot import Snapshot, encode_bytes, encode_message
from controlplane.xds.stream import Limits, Shared, StreamState
from controlplane.xds.types import RUNTIME
from tests.unit.controlplane.xds.builders import names, resource

MORTAL = encode_bytes("mortal", RUNTIME, b"1", ttl=9)
SNAPSHOT = Snapshot.of([MORTAL, resource(RUNTIME, "immortal")])


class Client:
    """Has the wildcard of one type, and acknowledges."""

    def __init__(self, *, delta: bool, features: frozenset[str] = FEATURES, type_url: str = RUNTIME) -> None:
        self.delta = delta
        self.type_url = type_url
        self.state = StreamState(
            nonce_prefix="n", aggregated=False, shared=Shared(), limits=Limits(), features=features
        )
        self.state.aim(SNAPSHOT)
        self.say(now=100)

    def say(self, *, now: float, nonce: str = "", error: str | None = None) -> None:
        """A request for everything."""
        if self.delta:
            self.state.take(DeltaRequest(type_url=self.type_url, nonce=nonce, error=error), now=now)
        else:
            self.state.take(SotwRequest(type_url=self.type_url, nonce=nonce, error=error), now=now)

    def receive(self, now: float) -> Response | None:
        """What comes, acknowledged."""
        response = self.state.next_response(now=now)
        if response is not None:
            self.say(now=now, nonce=response.nonce)
        return response


both = pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])


@both
def test_a_resource_is_said_to_live_on_in_good_time(delta: bool) -> None:
    """Rule 24: three times in its time to live, only those that have one, with nothing else to be told; again and
    again, and the stream says when it has to be woken for it."""
    client = Client(delta=delta)
    first = client.receive(100)
    assert names(first) == ["immortal", "mortal"]
    assert first is not None
    assert (first.with_ttl, first.heartbeat) == (True, False)
    assert client.receive(102.9) is None
    assert client.state.wake_at == 103
    for moment in (103, 106, 109):
        beat = client.receive(moment)
        assert names(beat) == ["mortal"]
        assert beat is not None
        assert beat.heartbeat
        assert client.receive(moment) is None
    assert client.state.subscriptions[RUNTIME].synced


@both
def test_a_client_that_does_not_know_is_not_told(delta: bool) -> None:
    """Rule 24: nothing of it. In state of the world it also has to know how such a resource is wrapped."""
    for features in (frozenset[str](), frozenset({TTL_FEATURE})):
        client = Client(delta=delta, features=features)
        response = client.receive(100)
        assert response is not None
        knows = delta and bool(features)
        assert response.with_ttl is knows
        assert (client.receive(110) is not None) is knows


@both
def test_news_are_told_and_no_heartbeat_beside_them(delta: bool) -> None:
    """Rule 24: what changes is told whole; another time to live alone is a change too."""
    client = Client(delta=delta)
    client.receive(100)
    client.state.aim(SNAPSHOT.with_resource(encode_bytes("mortal", RUNTIME, b"1", ttl=6)))
    news = client.receive(103)
    assert names(news) == ["mortal"]
    assert news is not None
    assert not news.heartbeat
    assert client.receive(104.9) is None
    assert client.receive(105) is not None
    client.state.aim(SNAPSHOT.without_resource(RUNTIME, "mortal"))
    client.receive(105)
    assert client.receive(200) is None


@both
def test_one_that_is_not_answered_holds_up_no_other(delta: bool) -> None:
    """One heartbeat is on its way at a time; a refusal of it refuses nothing."""
    client = Client(delta=delta)
    client.receive(100)
    beat = client.state.next_response(now=103)
    assert client.state.next_response(now=120) is None
    assert beat is not None
    client.say(now=120, nonce=beat.nonce, error="what?")
    assert not client.state.subscriptions[RUNTIME].refused
    assert names(client.receive(121)) == ["mortal"]


def test_who_comes_back_with_everything_is_told_at_once_that_it_lives() -> None:
    """Its clock went on while the stream was broken."""
    state = StreamState(nonce_prefix="n", aggregated=False, shared=Shared(), limits=Limits(), features=FEATURES)
    state.aim(Snapshot.of([MORTAL]))
    state.take(DeltaRequest(type_url=RUNTIME, subscribe=("*",), initial_versions={"mortal": MORTAL.version}), now=100)
    response = state.next_response(now=100)
    assert response is not None
    assert response.heartbeat


def test_a_snapshot_knows_its_shortest_time() -> None:
    """However it was made."""
    cluster = encode_message("c", Cluster(name="c"), ttl=2.5)
    made = SNAPSHOT.with_resource(cluster).with_resource(encode_bytes("brief", RUNTIME, b"", ttl=0.5))
    assert made.ttls == {RUNTIME: 0.5, types.CLUSTER: 2.5}
    assert made.without_resource(RUNTIME, "brief").set_of(RUNTIME).least_ttl == 9
    assert made.set_of(types.LISTENER).least_ttl == 0
