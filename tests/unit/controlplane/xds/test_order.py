"""Make before break, step by step: what has to be acknowledged before what is sent."""

from __future__ import annotations

import pytest

from controlplane.xds.messages import DeltaRequest, Response, SotwRequest
from controlplane.xds.order import SETTLING_SECONDS
from controlplane.xds.snapshot import Resource, Snapshot
from controlplane.xds.stream import Shared
from controlplane.xds.types import CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION, SECRET, VIRTUAL_HOST
from tests.unit.controlplane.xds.builders import OTHER, eds_cluster, names, resource, stream
from tests.unit.controlplane.xds.ordered_proxy import Proxy, generation

EDS, RDS, VHDS = CLUSTER_LOAD_ASSIGNMENT, ROUTE_CONFIGURATION, VIRTUAL_HOST
IN_USE = (CLUSTER, EDS, LISTENER, RDS)


def test_each_phase_waits_for_the_acknowledgement_of_the_former() -> None:
    """Rules 20 and 21: clusters with endpoints, listeners, routes. Envoy acknowledges clusters when they are warm."""
    proxy = Proxy(generation("1", "c"))
    proxy.state.aim(generation("2", "c"))
    clusters, load = proxy.expect(CLUSTER), proxy.expect(EDS)
    proxy.nothing()
    proxy.answer(load)
    proxy.nothing()
    proxy.answer(clusters)
    listeners = proxy.expect(LISTENER)
    proxy.nothing()
    proxy.answer(listeners)
    routes = proxy.expect(RDS)
    proxy.answer(routes)
    proxy.nothing()


def test_old_clusters_go_last() -> None:
    """Rule 20: after the routes are acknowledged; then their endpoints."""
    proxy = Proxy(generation("1", "old"))
    proxy.state.aim(generation("2", "new"))
    clusters = proxy.expect(CLUSTER)
    assert (names(clusters), clusters.removed) == (["new"], ())
    proxy.ask(EDS, "new")
    proxy.answer(proxy.expect(EDS))
    proxy.answer(clusters)
    proxy.answer(proxy.expect(LISTENER))
    routes = proxy.expect(RDS)
    proxy.now += SETTLING_SECONDS
    proxy.nothing()
    proxy.answer(routes)
    proxy.nothing()
    assert proxy.state.wake_at == proxy.now + SETTLING_SECONDS  # requests may be on their way by the former routes
    proxy.now += SETTLING_SECONDS
    clusters = proxy.expect(CLUSTER)
    assert clusters.removed == ("old",)
    proxy.nothing()
    proxy.answer(clusters)
    assert proxy.state.subscriptions[EDS].target == generation("2", "new").set_of(EDS)  # at once: somebody may wait
    assert proxy.expect(EDS).removed == ("old",)


def test_old_clusters_wait_for_a_client_that_is_about_to_ask_for_new_routes() -> None:
    """Rule 20: a listener acknowledged just now may still route by its former routes."""
    proxy = Proxy(generation("1", "old"))
    proxy.state.aim(Snapshot.of([resource(LISTENER, "l", "2"), resource(RDS, "r2")]))
    proxy.answer(proxy.expect(LISTENER))
    routes = proxy.receive()
    assert routes is not None
    assert (routes.type_url, routes.removed) == (RDS, ("r",))
    proxy.answer(routes)
    proxy.nothing()
    assert proxy.state.wake_at == proxy.now + SETTLING_SECONDS
    proxy.ask(RDS, "r2")
    proxy.answer(proxy.expect(RDS))
    proxy.nothing()
    proxy.now += SETTLING_SECONDS
    assert proxy.expect(CLUSTER).removed == ("old",)


def test_in_state_of_the_world_old_clusters_are_sent_along_until_nobody_uses_them() -> None:
    """Rule 20: first old and new together, then the new ones alone."""
    now = 0.0
    state = stream(aggregated=True)
    nonces: dict[str, str] = {}

    def ask(type_url: str, *wanted: str) -> None:
        state.take(SotwRequest(type_url=type_url, names=wanted, nonce=nonces.get(type_url, "")), now=now)

    def accept(type_url: str, *wanted: str) -> Response:
        response = state.next_response(now=now)
        assert response is not None
        assert response.type_url == type_url
        nonces[type_url] = response.nonce
        ask(type_url, *wanted)
        return response

    state.aim(Snapshot.of([eds_cluster("old"), resource(RDS, "r")]))
    ask(CLUSTER)
    ask(RDS, "r")
    accept(CLUSTER)
    now += 60
    accept(RDS, "r")
    after = Snapshot.of([eds_cluster("new"), resource(RDS, "r", "2")])
    state.aim(after)
    both = accept(CLUSTER)
    assert names(both) == ["new", "old"]
    assert both.version != after.version(CLUSTER)
    now += SETTLING_SECONDS
    accept(RDS, "r")
    assert state.next_response(now=now) is None
    now += SETTLING_SECONDS
    last = accept(CLUSTER)
    assert (names(last), last.version) == (["new"], after.version(CLUSTER))
    assert state.next_response(now=now) is None


@pytest.mark.parametrize("between", [False, True])
def test_in_state_of_the_world_a_reconnecting_client_is_known_by_its_version(between: bool) -> None:
    """Rules 17 and 20: old clusters stay until the routes have changed, also for a client ``between`` two sets."""
    shared = Shared()
    before = Snapshot.of([eds_cluster("old"), resource(RDS, "r")])
    after = Snapshot.of([eds_cluster("new"), resource(RDS, "r", "2")])
    state = stream(aggregated=True, shared=shared)
    state.aim(before)
    state.take(SotwRequest(type_url=CLUSTER), now=0)
    response = state.next_response(now=0)
    assert response is not None
    if between:
        state.take(SotwRequest(type_url=CLUSTER, nonce=response.nonce), now=0)
        state.take(SotwRequest(type_url=RDS, version="x", names=("r",)), now=0)
        state.aim(after)
        response = state.next_response(now=60)
        assert names(response) == ["new", "old"]
        assert response is not None
    state = stream(aggregated=True, shared=shared)
    state.aim(after if not between else after.with_resource(eds_cluster("third")))
    state.take(SotwRequest(type_url=CLUSTER, version=response.version), now=0)
    state.take(SotwRequest(type_url=RDS, version="x", names=("r",)), now=0)
    assert "old" in names(state.next_response(now=0))


@pytest.mark.parametrize("delta", [True, False])
def test_a_reconnecting_client_that_is_silent_about_clusters_is_warming_one(delta: bool) -> None:
    """Rules 20 and 22: it gets the endpoints that it waits for at once, and new routes when it has said what it has."""
    state = stream(aggregated=True)
    state.aim(generation("2", "c", "new"))

    def come_back_with(type_url: str, *wanted: str) -> None:
        have = generation("1", "c") if type_url != EDS else generation("2", "c")
        versions = {name: one.version for name, one in have.of_type(type_url).items()}
        if delta:
            state.take(DeltaRequest(type_url=type_url, subscribe=wanted, initial_versions=versions), now=0)
        else:
            state.take(SotwRequest(type_url=type_url, names=wanted, version=have.version(type_url)), now=0)

    come_back_with(EDS, "c")
    come_back_with(LISTENER)
    come_back_with(RDS, "r")
    response = state.next_response(now=0)
    assert response is not None
    assert (response.type_url, names(response)) == (EDS, ["c"])
    state.take(
        DeltaRequest(type_url=EDS, nonce=response.nonce)
        if delta
        else SotwRequest(type_url=EDS, names=("c",), nonce=response.nonce),
        now=0,
    )
    assert state.next_response(now=0) is None
    assert state.wake_at == SETTLING_SECONDS
    come_back_with(CLUSTER)
    response = state.next_response(now=0)
    assert response is not None
    assert response.type_url == CLUSTER


def test_endpoints_that_are_asked_for_after_a_changed_cluster_was_sent_follow_it() -> None:
    """Rule 22: a reconnecting client says that it has them, but it had them for the former cluster."""
    state = stream(aggregated=True)
    before, after = generation("1", "c"), generation("1", "c").with_resource(eds_cluster("c", timeout=9))
    state.aim(after)
    for type_url in (CLUSTER, EDS):
        have = {name: one.version for name, one in before.of_type(type_url).items()}
        wanted = ("c",) if type_url == EDS else ()
        state.take(DeltaRequest(type_url=type_url, subscribe=wanted, initial_versions=have), now=0)
        response = state.next_response(now=0)
        assert response is not None
        assert (response.type_url, names(response)) == (type_url, ["c"])


def test_a_client_that_has_nothing_of_a_type_waits_for_a_moment_only() -> None:
    """Rule 20: it has nothing that could break, and may never acknowledge what another would."""
    state = stream(aggregated=True)
    state.aim(generation("1", "c"))
    for type_url in IN_USE:
        state.take(DeltaRequest(type_url=type_url, subscribe=("*",)), now=0)
    sent = [response.type_url for _ in range(3) if (response := state.next_response(now=0)) is not None]
    assert sent == [CLUSTER, EDS]
    assert state.wake_at == SETTLING_SECONDS
    for moment in (1, 2):
        response = state.next_response(now=moment * SETTLING_SECONDS)
        assert response is not None
        sent.append(response.type_url)
    assert sent == list(IN_USE)


def test_a_reconnecting_client_is_held_up() -> None:
    """Rule 20: what it says that it has may break as well."""
    before = generation("1", "c")
    state = stream(aggregated=True)
    state.aim(generation("2", "c"))
    for type_url in IN_USE:
        have = {name: r.version for name, r in before.of_type(type_url).items()}
        state.take(DeltaRequest(type_url=type_url, initial_versions=have), now=0)
    sent = [response.type_url for _ in range(5) if (response := state.next_response(now=0)) is not None]
    assert sent == [CLUSTER, EDS]


def test_routes_wait_until_a_new_cluster_has_endpoints() -> None:
    """Rule 21: the client is given a moment to ask for them."""
    proxy = Proxy(generation("1", "a"))
    proxy.state.aim(generation("1", "a", "c").with_resource(resource(RDS, "r", "2")))
    proxy.answer(proxy.expect(CLUSTER))
    proxy.nothing()
    proxy.ask(EDS, "c")
    load = proxy.expect(EDS)
    proxy.nothing()
    proxy.answer(load)
    proxy.answer(proxy.expect(RDS))


def test_a_client_that_never_asks_for_endpoints_delays_its_routes_by_a_moment() -> None:
    """Rule 21: and no longer."""
    proxy = Proxy(generation("1", "a"))
    proxy.state.aim(generation("1", "a", "c").with_resource(resource(RDS, "r", "2")))
    proxy.answer(proxy.expect(CLUSTER))
    proxy.nothing()
    assert proxy.state.wake_at == proxy.now + SETTLING_SECONDS
    proxy.now += SETTLING_SECONDS
    proxy.answer(proxy.expect(RDS))


def test_virtual_hosts_follow_routes() -> None:
    """Rule 20: the last phase."""
    proxy = Proxy(generation("1", "c").with_resource(resource(VHDS, "r/h")))
    proxy.ask(VHDS, "r/h")
    proxy.answer(proxy.expect(VHDS))
    proxy.state.aim(
        generation("1", "c").with_resource(resource(VHDS, "r/h", "2")).with_resource(resource(RDS, "r", "2"))
    )
    routes = proxy.expect(RDS)
    proxy.nothing()
    proxy.answer(routes)
    proxy.expect(VHDS)


@pytest.mark.parametrize("type_url", [SECRET, OTHER])
def test_other_types_know_no_order(type_url: str) -> None:
    """A secret or a policy waits for nobody."""
    proxy = Proxy(generation("1", "c").with_resource(resource(type_url, "s")))
    proxy.ask(type_url, "s")
    proxy.answer(proxy.expect(type_url))
    changed: list[Resource] = [eds_cluster("c", timeout=9), resource(type_url, "s", "2")]
    snapshot = generation("1", "c")
    for one in changed:
        snapshot = snapshot.with_resource(one)
    proxy.state.aim(snapshot)
    proxy.expect(CLUSTER)
    proxy.expect(EDS)
    proxy.expect(type_url)
