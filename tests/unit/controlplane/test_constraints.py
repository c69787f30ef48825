"""The constraints in Envoy's protos, held against messages without Envoy, and Envoy's own verdict beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st
from validate import validate_pb2

from controlplane.config import ConfigError, GatewayConfig, load_document
from controlplane.preflight import Constraints, EnvoyPreflight, PreflightError, check_groups
from controlplane.preflight.field_rules import UnknownRuleError, value_check
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot, encode_message
from gateway.binaries import envoy_path
from tests.harness import gateways
from tests.harness.gateways import edge_snapshot

SLOW = 7
GOOD = """\
listeners: [{name: http, port: 8000}]
upstreams:
  - {name: good, endpoints: ["http://127.0.0.1:1"]}
  - name: bad
    endpoints: ["http://127.0.0.1:1"]
    connect_timeout: 7s
routes:
  - {match: {path_prefix: /good/}, upstream: good}
  - {match: {path_prefix: /bad/}, upstream: bad}
"""


CHECK = {"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1}
ENDPOINT = {"endpoint": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 65_536}}}}
BREACHES: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "name: there have to be at least 1 characters, not 0"),
    "negative time-out": ({"connectTimeout": "-1s"}, "connect_timeout: -1 s has to be more than 0 s"),
    "huge ring": (
        {"lbPolicy": "RING_HASH", "ringHashLbConfig": {"maximumRingSize": 1 << 40}},
        "ring_hash_lb_config.maximum_ring_size: 1.09951e+12 has to be at most 8.38861e+06",
    ),
    "no name of a header": (
        {"healthChecks": [CHECK | {"httpHealthCheck": {"path": "/", "requestHeadersToRemove": ["a\nb"]}}]},
        "health_checks[0].http_health_check.request_headers_to_remove[0]: 'a\\nb' has to be the name of a header",
    ),
    "check of nothing": ({"healthChecks": [CHECK]}, "health_checks[0].health_checker: is missing"),
    "check without time-out": (
        {"healthChecks": [{**CHECK, "timeout": None, "httpHealthCheck": {"path": "/"}}]},
        "health_checks[0].timeout: is missing",
    ),
    "unknown discovery": ({"type": 77}, "type: 77 is no value of DiscoveryType"),
    "port of 17 bits": (
        {"loadAssignment": {"clusterName": "x", "endpoints": [{"lbEndpoints": [ENDPOINT]}]}},
        "lb_endpoints[0].endpoint.address.socket_address.port_value: 65536 has to be at most 65535",
    ),
    "negative interval": (
        {"outlierDetection": {"interval": "-0.000000001s"}},
        "outlier_detection.interval: -1e-09 s has to be more than 0 s",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_what_is_a_breach_here_is_one_for_envoy(name: str) -> None:
    """The same snapshot is taken by both before, and refused by both after."""
    change, words = BREACHES[name]
    constraints, envoy = Constraints(), EnvoyPreflight(binary=envoy_path(), deadline=10)
    good = edge_snapshot(gateways.gateway())
    constraints.check(good)
    bad = spoilt(good, change)
    with pytest.raises(PreflightError) as found:
        constraints.check(bad)
    assert words in str(found.value)
    assert str(found.value).startswith("Cluster '")
    with pytest.raises(PreflightError):
        envoy.check(bad)


def test_every_rule_that_our_resources_can_meet_is_known() -> None:
    """No rule of all messages that hang below a listener, a route or a cluster is passed over."""
    constraints = Constraints()
    count = 0
    for descriptor in reachable(Listener, RouteConfiguration, Route, Cluster, HttpConnectionManager):
        constraints.breach(message_of(descriptor))
        count += 1
    assert count > 250
    assert constraints.unknown == set()


def test_a_rule_without_a_check_is_named() -> None:
    """And the rest is checked all the same."""
    with pytest.raises(UnknownRuleError, match="email"):
        value_check(validate_pb2.StringRules(email=True))


def test_a_member_of_a_oneof_is_only_required_when_it_is_chosen() -> None:
    """A match by prefix needs no regular expression."""
    route = RouteConfiguration(name="r")
    host = route.virtual_hosts.add(name="h", domains=["*"])
    one = host.routes.add()
    assert str(Constraints().breach(route)) == "virtual_hosts[0].routes[0].match: is missing"
    one.match.prefix = "/"
    assert str(Constraints().breach(route)) == "virtual_hosts[0].routes[0].action: is missing"
    one.route.cluster = "c"
    assert Constraints().breach(route) is None


RANGES = [
    (validate_pb2.UInt32Rules(gte=1, lt=3), [1, 2], [0, 3]),
    (validate_pb2.UInt32Rules(gt=3, lt=1), [0, 4], [1, 2, 3]),
    (validate_pb2.UInt32Rules(**{"in": [1, 5]}), [1, 5], [2]),
    (validate_pb2.UInt32Rules(not_in=[1]), [0], [1]),
    (validate_pb2.UInt32Rules(gte=1, ignore_empty=True), [0, 1], []),
    (validate_pb2.DoubleRules(lte=1.0), [1.0], [1.1, float("nan")]),
    (validate_pb2.StringRules(min_bytes=2, max_len=2), ["ü", "ab"], ["a", "abc"]),
    (validate_pb2.StringRules(prefix="a", suffix="z", not_contains="y"), ["az"], ["z", "a", "ayz"]),
    (validate_pb2.StringRules(pattern="^[a-z]+$"), ["a"], ["a\n", ""]),
    (validate_pb2.StringRules(ipv4=True), ["10.0.0.1"], ["::1", "x"]),
    (validate_pb2.StringRules(well_known_regex="HTTP_HEADER_VALUE"), ["a b", ""], ["a\n"]),
    (validate_pb2.StringRules(well_known_regex="HTTP_HEADER_NAME", strict=False), ["a b", ""], ["a\r"]),
    (validate_pb2.RepeatedRules(unique=True, max_items=2), [[1, 2]], [[1, 1], [1, 2, 3]]),
    (validate_pb2.BoolRules(const=True), [True], [False]),
]


@pytest.mark.parametrize(("rules", "good", "bad"), RANGES, ids=[str(rules).replace("\n", " ") for rules, *_ in RANGES])
def test_rules(rules: Message, good: list[Any], bad: list[Any]) -> None:
    """Each rule at its edges."""
    check = value_check(rules)
    assert check is not None
    assert [check(value) for value in good] == [None] * len(good)
    assert all(check(value) for value in bad)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """Whatever is in a resource, there is a verdict."""
    cluster = Cluster()
    try:
        cluster.ParseFromString(data)
    except DecodeError:
        return
    breach = Constraints().breach(cluster)
    assert breach is None or breach.why


def test_the_place_in_the_document_is_named() -> None:
    """As for what Envoy itself refuses: the part without which nothing is wrong."""

    def translate(document: GatewayConfig) -> dict[str, Snapshot]:
        (snapshot,) = translate_release(resolve(document, listen_address="127.0.0.1")).groups.values()
        is_slow = any(one.connect_timeout == SLOW for one in document.upstreams)
        return {"edge": spoilt(snapshot, {"connectTimeout": "-1s"}) if is_slow else snapshot}

    document = load_document(GOOD.encode(), origin="gateway.yaml")
    with pytest.raises(ConfigError) as found:
        check_groups(Constraints(), document, translate(document), translate)
    (problem,) = found.value.problems
    assert problem.position is not None
    assert problem.position.line == 6
    assert "connect_timeout" in problem.message


def spoilt(snapshot: Snapshot, change: dict[str, Any], only: str = "") -> Snapshot:
    """The same with its clusters (whose name has ``only`` in it) changed."""
    found = []
    for type_url, resources in snapshot.resources.items():
        for resource in resources.values():
            if type_url == types.CLUSTER and only in resource.name:
                cluster = Cluster.FromString(AnyMessage.FromString(resource.body).value)
                found.append(encode_message(resource.name, ParseDict(change, cluster)))
            else:
                found.append(resource)
    return Snapshot.of(found)


def reachable(*roots: type[Message]) -> Iterator[Descriptor]:
    """Every message type below some."""
    seen: set[str] = set()
    left: list[Any] = [root.DESCRIPTOR for root in roots]
    while left:
        descriptor = left.pop()
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        yield descriptor
        left += [field.message_type for field in descriptor.fields if field.message_type is not None]


def message_of(descriptor: Descriptor) -> Message:
    """An empty one."""
    return GetMessageClass(descriptor)()
