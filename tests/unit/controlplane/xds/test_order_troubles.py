"""Make before break when something is refused, changed on the way, or never answered; endpoints and their clusters."""

from __future__ import annotations

import pytest

from controlplane.xds.messages import DeltaRequest, Response, SotwRequest
from controlplane.xds.order import SETTLING_SECONDS
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.subscription import PATIENCE_SECONDS
from controlplane.xds.types import CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION, VIRTUAL_HOST
from tests.unit.controlplane.xds.builders import eds_cluster, endpoints, names, resource, stream
from tests.unit.controlplane.xds.ordered_proxy import Proxy, generation

EDS, RDS, VHDS = CLUSTER_LOAD_ASSIGNMENT, ROUTE_CONFIGURATION, VIRTUAL_HOST
IN_USE = (CLUSTER, EDS, LISTENER, RDS)


def test_a_restarting_client_gets_its_listeners_though_it_refuses_a_cluster() -> None:
    """Rule 20: nothing at all would be worse than all but one."""
    state = stream(aggregated=True)
    state.aim(generation("1", "c"))
    state.take(DeltaRequest(type_url=CLUSTER), now=0)
    response = state.next_response(now=0)
    assert response is not None
    state.take(DeltaRequest(type_url=CLUSTER, nonce=response.nonce, error="no"), now=0)
    state.take(DeltaRequest(type_url=LISTENER), now=0)
    response = state.next_response(now=0)
    assert response is not None
    assert response.type_url == LISTENER


def test_a_changed_cluster_is_followed_by_its_endpoints() -> None:
    """Rule 22: though they have not changed; the client waits for them and does not ask."""
    proxy = Proxy(generation("1", "c", "d"))
    proxy.state.aim(generation("1", "c", "d").with_resource(eds_cluster("c", timeout=9)))
    assert names(proxy.expect(CLUSTER)) == ["c"]
    load = proxy.expect(EDS)
    assert names(load) == ["c"]
    proxy.answer(load)
    proxy.nothing()


def test_endpoints_of_a_cluster_that_is_leaving_can_still_be_had() -> None:
    """Rule 20: the client has just heard of the cluster, and acknowledges it when it is warm."""
    proxy = Proxy(generation("1", "c"))
    proxy.state.aim(generation("1", "c", "short"))
    clusters = proxy.expect(CLUSTER)
    proxy.state.aim(generation("1", "c"))
    proxy.ask(EDS, "short")
    load = proxy.expect(EDS)
    assert names(load) == ["short"]
    proxy.answer(load)
    proxy.answer(clusters)
    clusters = proxy.expect(CLUSTER)
    assert clusters.removed == ("short",)
    proxy.answer(clusters)
    assert proxy.expect(EDS).removed == ("short",)


def test_endpoints_are_let_go_with_the_last_interest_in_their_cluster() -> None:
    """Rule 20: gRPC says that it wants an old cluster no more; there is nothing to acknowledge."""
    state = stream(aggregated=True)
    state.aim(Snapshot.of([eds_cluster("a"), endpoints("a")]))
    for type_url in (CLUSTER, EDS):
        state.take(DeltaRequest(type_url=type_url, subscribe=("a",)), now=0)
        response = state.next_response(now=0)
        assert response is not None
        state.take(DeltaRequest(type_url=type_url, nonce=response.nonce), now=0)
    after = Snapshot.of([resource(RDS, "r")])
    state.take(DeltaRequest(type_url=RDS, subscribe=("r",)), now=0)
    state.aim(after)
    state.next_response(now=0)
    assert state.subscriptions[EDS].target != after.set_of(EDS)
    state.take(DeltaRequest(type_url=CLUSTER, unsubscribe=("a",)), now=0)
    assert state.subscriptions[EDS].target == after.set_of(EDS)


def test_endpoints_that_are_on_their_way_are_sent_again_after_a_changed_cluster() -> None:
    """Rule 22: the client may take them for the former cluster's."""
    proxy = Proxy(generation("1", "c"))
    base = generation("1", "c").with_resource(endpoints("c", "2"))
    proxy.state.aim(base)
    load = proxy.expect(EDS)
    proxy.state.aim(base.with_resource(eds_cluster("c", timeout=9)))
    proxy.expect(CLUSTER)
    proxy.answer(load)
    assert names(proxy.expect(EDS)) == ["c"]


def test_endpoints_that_were_refused_are_not_sent_after_a_changed_cluster() -> None:
    """Rules 2 and 22: they are still the same."""
    proxy = Proxy(generation("1", "c"))
    base = generation("1", "c").with_resource(endpoints("c", "bad"))
    proxy.state.aim(base)
    proxy.answer(proxy.expect(EDS), error="no")
    proxy.state.aim(base.with_resource(eds_cluster("c", timeout=9)))
    proxy.expect(CLUSTER)
    proxy.nothing()


def test_what_comes_with_a_refused_cluster_is_held_back() -> None:
    """Rule 20: routes must not lead to what the client refused; endpoints of other clusters go on."""
    proxy = Proxy(generation("1", "c"))
    proxy.state.aim(generation("2", "c"))
    proxy.answer(proxy.expect(CLUSTER), error="no")
    proxy.answer(proxy.expect(EDS))
    proxy.nothing()


def test_a_later_snapshot_is_not_held_back_by_an_older_refusal() -> None:
    """Rule 20: one mistake must not stop every change; each type is a world of its own."""
    proxy = Proxy(generation("1", "c"))
    bad = generation("1", "c").with_resource(eds_cluster("c", timeout=9))
    proxy.state.aim(bad)
    proxy.answer(proxy.expect(CLUSTER), error="no")
    proxy.answer(proxy.expect(EDS))
    proxy.state.aim(bad.with_resource(resource(RDS, "r", "2")))
    proxy.answer(proxy.expect(RDS))


@pytest.mark.parametrize("delta", [True, False])
def test_a_new_cluster_that_was_refused_goes_before_anything_else(delta: bool) -> None:
    """Rules 2 and 20: nobody uses it, and Envoy may count it as warming until it is gone."""
    state = stream(aggregated=True)
    nonces: dict[str, str] = {}

    def ask(type_url: str, *wanted: str, error: str | None = None) -> None:
        nonce = nonces.get(type_url, "")
        if delta:
            state.take(
                DeltaRequest(type_url=type_url, subscribe=() if nonce else wanted, nonce=nonce, error=error), now=0
            )
        else:
            state.take(SotwRequest(type_url=type_url, names=wanted, nonce=nonce, error=error), now=0)

    def receive(type_url: str) -> Response:
        response = state.next_response(now=0)
        assert response is not None
        assert response.type_url == type_url
        nonces[type_url] = response.nonce
        return response

    good = Snapshot.of([eds_cluster("a"), endpoints("a"), resource(RDS, "r")])
    state.aim(good)
    for type_url, wanted in ((CLUSTER, ()), (EDS, ("a",)), (RDS, ("r",))):
        ask(type_url, *wanted)
        receive(type_url)
        ask(type_url, *wanted)
    state.aim(good.with_resource(eds_cluster("bad")).with_resource(eds_cluster("new")))
    receive(CLUSTER)
    ask(CLUSTER, error="Error adding cluster(s) bad: no.")
    state.aim(good.with_resource(eds_cluster("new")).with_resource(resource(RDS, "r", "2")))
    response = receive(CLUSTER)
    if delta:
        assert (names(response), response.removed) == (["new"], ("bad",))
    else:
        assert names(response) == ["a", "new"]


def test_a_client_that_never_answers_is_waited_for_only_so_long() -> None:
    """Rule 32: each wait has an end; then the newest is sent, and what depends on it."""
    proxy = Proxy(generation("1", "c"))
    proxy.state.aim(generation("2", "c"))
    clusters = proxy.expect(CLUSTER)
    proxy.answer(proxy.expect(EDS))
    proxy.nothing()
    assert proxy.state.wake_at == proxy.now + PATIENCE_SECONDS
    proxy.now += PATIENCE_SECONDS
    proxy.expect(LISTENER)
    proxy.state.aim(generation("3", "c"))
    again = proxy.expect(CLUSTER)
    proxy.answer(clusters)  # too late: it answers nothing
    assert proxy.state.subscriptions[CLUSTER].outstanding is not None
    proxy.answer(again)
    assert proxy.state.subscriptions[CLUSTER].synced


def test_old_clusters_stay_while_the_new_routes_are_refused() -> None:
    """Rule 20: the client still routes by the former ones."""
    proxy = Proxy(generation("1", "old", "other"))
    after = generation("1", "other").with_resource(resource(RDS, "r", "bad"))
    proxy.state.aim(after)
    proxy.answer(proxy.expect(RDS), error="no")
    proxy.now += 60
    proxy.nothing()
    proxy.state.aim(after.with_resource(resource(RDS, "r", "good")))
    proxy.answer(proxy.expect(RDS))
    proxy.nothing()
    proxy.now += SETTLING_SECONDS
    assert proxy.expect(CLUSTER).removed == ("old",)
