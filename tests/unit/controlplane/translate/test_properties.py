"""What holds for the translation of every gateway."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TypeVar

from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model import Gateway
from controlplane.translate import check_consistent, translate_release
from controlplane.translate.consistency import decode
from controlplane.translate.routes import covers
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts import AuthPolicy
from servicekit.contracts.data_plane import HEALTH_ROUTE, UNMATCHED_ROUTE
from tests.harness.gateway_strategies import HOSTS, gateways
from tests.harness.gateways import edge_snapshot

T = TypeVar("T")

BUDGET = settings(max_examples=60)


def virtual_hosts(snapshot: Snapshot) -> dict[str, list[str]]:
    """The names of the routes of each host, in order."""
    (table,) = snapshot.of_type(types.ROUTE_CONFIGURATION).values()
    hosts = MessageToDict(decode(table), preserving_proto_field_name=True)["virtual_hosts"]
    return {host["name"]: [route["name"] for route in host["routes"]] for host in hosts}


@BUDGET
@given(gateways())
def test_no_name_leads_nowhere(gateway: Gateway) -> None:
    """Every name is there or is the bootstrap's, and everything there is used."""
    check_consistent(translate_release(gateway))


@BUDGET
@given(gateways())
def test_translation_is_deterministic(gateway: Gateway) -> None:
    """The same bytes twice."""
    assert translate_release(gateway) == translate_release(gateway)


@BUDGET
@given(gateways(), st.randoms(use_true_random=False))
def test_only_the_order_of_routes_means_anything(gateway: Gateway, rng: random.Random) -> None:
    """Upstreams and policies written in another order are the same gateway."""

    def shuffled(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(rng.sample(values, len(values)))

    other = replace(
        gateway,
        upstreams=shuffled(gateway.upstreams),
        identity_providers=shuffled(gateway.identity_providers),
        rate_limits=shuffled(gateway.rate_limits),
    )
    assert translate_release(other).versions == translate_release(gateway).versions


@BUDGET
@given(gateways("left-"), gateways("right-"))
def test_independent_documents_commute(left: Gateway, right: Gateway) -> None:
    """Two documents for different hosts, put together in either order, are one gateway."""
    left, right = on_host(left, "left.example.org"), on_host(right, "right.example.org")
    assert translate_release(joined(left, right)).versions == translate_release(joined(right, left)).versions


@BUDGET
@given(gateways())
def test_each_host_has_its_routes_in_the_documents_order(gateway: Gateway) -> None:
    """Between the gateway's own two: health first unless the document takes it, and last what nothing matched."""
    for host, names in virtual_hosts(edge_snapshot(gateway)).items():
        expected = [
            route.name for route in gateway.routes if any(covers(pattern, host) for pattern in route.match.hosts)
        ]
        assert [name for name in names if not name.startswith("gateway.")] == expected
        assert names[-1] == UNMATCHED_ROUTE
        assert HEALTH_ROUTE not in names[1:]


@BUDGET
@given(gateways())
def test_authentication_is_asked_for_exactly_where_the_document_says(gateway: Gateway) -> None:
    """Every route either names a rule of its own providers or switches the filter off."""
    release = translate_release(gateway)
    (resource,) = release.services.of_type(AuthPolicy.TYPE_URL).values()
    rules = AuthPolicy.decode(_value(resource.body)).rules
    (table,) = release.groups["edge"].of_type(types.ROUTE_CONFIGURATION).values()
    wanted = {route.name: route.authenticate for route in gateway.routes}
    for host in MessageToDict(decode(table), preserving_proto_field_name=True)["virtual_hosts"]:
        for route in host["routes"]:
            config = route["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
            if wanted.get(route["name"]):
                assert rules[config["check_settings"]["context_extensions"]["rule"]].any_of == wanted[route["name"]]
            else:
                assert config["disabled"] is True


@given(HOSTS, HOSTS, HOSTS)
def test_covering_is_an_order(one: str, two: str, three: str) -> None:
    """Reflexive and transitive, and the pattern for every host is above all."""
    assert covers(one, one)
    assert covers("*", one)
    if covers(one, two) and covers(two, three):
        assert covers(one, three)


def on_host(gateway: Gateway, host: str) -> Gateway:
    """The gateway with all its routes on one host."""
    moved = tuple(replace(route, match=replace(route.match, hosts=(host,))) for route in gateway.routes)
    return replace(gateway, routes=moved)


def joined(one: Gateway, other: Gateway) -> Gateway:
    """Both on one listener."""
    return Gateway(
        listeners=one.listeners,
        upstreams=one.upstreams + other.upstreams,
        routes=one.routes + other.routes,
        identity_providers=one.identity_providers + other.identity_providers,
        rate_limits=one.rate_limits + other.rate_limits,
    )


def _value(body: bytes) -> bytes:
    return bytes(Any.FromString(body).value)
