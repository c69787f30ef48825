"""Whatever is published whenever, a proxy never routes to a cluster that it does not have, and ends with the newest."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Shared
from controlplane.xds.types import CLUSTER, CLUSTER_LOAD_ASSIGNMENT
from tests.unit.controlplane.xds.builders import eds_cluster, endpoints
from tests.unit.controlplane.xds.model_envoy import ModelEnvoy, listener, route_table

CLUSTERS = ("c1", "c2", "c3")
TABLES = ("r1", "r2")


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A consistent snapshot: every name that is used is there."""
    clusters = draw(st.dictionaries(st.sampled_from(CLUSTERS), st.tuples(st.integers(1, 2), st.sampled_from("xy"))))
    used = st.lists(st.sampled_from(sorted(clusters)), unique=True) if clusters else st.just([])
    tables = draw(st.dictionaries(st.sampled_from(TABLES), used, min_size=1))
    listeners = draw(st.dictionaries(st.sampled_from(("l1", "l2")), st.sampled_from(sorted(tables))))
    return Snapshot.of(
        [
            *(eds_cluster(name, timeout=timeout) for name, (timeout, _) in clusters.items()),
            *(endpoints(name, content) for name, (_, content) in clusters.items()),
            *(route_table(name, tuple(sorted(to))) for name, to in tables.items()),
            *(listener(name, table) for name, table in listeners.items()),
        ]
    )


class Proxy(RuleBasedStateMachine):
    """One proxy, any order of events."""

    delta = True

    @initialize(snapshot=snapshots())
    def connect(self, snapshot: Snapshot) -> None:
        """It starts."""
        self.snapshot = snapshot
        self.envoy = ModelEnvoy(delta=self.delta, shared=Shared())
        self.envoy.connect(snapshot)

    @rule(snapshot=snapshots())
    def publish(self, snapshot: Snapshot) -> None:
        """There is a new snapshot."""
        self.snapshot = snapshot
        self.envoy.server.aim(snapshot)

    @rule(times=st.integers(1, 6))
    def request_arrives(self, times: int) -> None:
        """Requests reach the server."""
        for _ in range(times):
            self.envoy.deliver_request()

    @rule()
    def server_sends(self) -> None:
        """The server sends what it wants to send."""
        self.envoy.emit()

    @rule()
    def response_arrives(self) -> None:
        """A response reaches the proxy."""
        self.envoy.deliver_response()

    @rule(steps=st.integers(1, 20))
    def go_on(self, steps: int) -> None:
        """Both sides go on for a while."""
        for _ in range(steps):
            self.envoy.step()
            assert not self.envoy.dangling()

    @precondition(lambda self: not self.envoy.to_server and not self.envoy.to_envoy)
    @rule()
    def time_passes(self) -> None:
        """Messages take less than a second: nothing is on its way while time passes."""
        self.envoy.now += 0.6

    @rule()
    def reconnect(self) -> None:
        """The stream breaks; everything on the way is lost."""
        self.envoy.connect(self.snapshot)

    @rule(change=snapshots(), messages=st.integers(1, 4), next_change=snapshots())
    def is_cut_off(self, change: Snapshot, messages: int, next_change: Snapshot) -> None:
        """The stream breaks in the middle of a change, and the next change comes with the next stream."""
        self.envoy.rest()
        self.publish(change)
        for _ in range(messages):
            self.envoy.step()
        self.reconnect()
        self.publish(next_change)
        self.go_on(20)

    @rule()
    def quiet(self) -> None:
        """After quiet, everything is the newest, and nothing is left that is not used any more."""
        self.envoy.rest()
        clusters = {name: r.version for name, r in self.snapshot.of_type(CLUSTER).items()}
        assert self.envoy.clusters == clusters
        assert not self.envoy.warming
        assert not self.envoy.waiting
        assert self.envoy.endpoints == {
            name: r.version for name, r in self.snapshot.of_type(CLUSTER_LOAD_ASSIGNMENT).items()
        }
        for type_url, subscription in self.envoy.server.subscriptions.items():
            assert subscription.synced
            assert subscription.target == self.snapshot.set_of(type_url)

    @invariant()
    def no_dangling_route(self) -> None:
        """The promise."""
        if hasattr(self, "envoy"):
            assert not self.envoy.dangling()


class SotwProxy(Proxy):
    """The same in the other variant."""

    delta = False


TestDeltaProxy = Proxy.TestCase
TestDeltaProxy.settings = settings(max_examples=100, stateful_step_count=30)
TestSotwProxy = SotwProxy.TestCase
TestSotwProxy.settings = TestDeltaProxy.settings
