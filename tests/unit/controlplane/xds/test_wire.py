"""Bytes by hand and bytes by the official code are the same message."""

from __future__ import annotations

import pytest
from envoy.config.core.v3.base_pb2 import Node as NodeMessage
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from hypothesis import given
from hypothesis import strategies as st

from controlplane.xds import types
from controlplane.xds.errors import WireError
from controlplane.xds.messages import Response
from controlplane.xds.snapshot import encode_bytes
from controlplane.xds.wire import encode, encode_control_plane, parse_delta, parse_sotw
from tests.unit.controlplane.xds.builders import eds_cluster, resource

text = st.text(st.characters(exclude_categories=["Cs"]))
control_plane = encode_control_plane("replica-1")
values = st.recursive(
    st.none() | st.booleans() | st.floats() | text | st.just("x" * 300),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=5,
)


@st.composite
def nodes(draw: st.DrawFn) -> NodeMessage:
    """A node as a client might say it."""
    message = NodeMessage(id=draw(text), locality={"region": draw(text), "zone": draw(text)})
    message.metadata.update(draw(st.dictionaries(text, values, max_size=5)))
    return message


@given(name=text, value=st.binary(max_size=300), removed=st.lists(text, max_size=3), nonce=text, version=text)
def test_a_delta_response_is_what_the_official_code_reads(
    name: str, value: bytes, removed: list[str], nonce: str, version: str
) -> None:
    """Field by field, for any name and content; ``control_plane`` says who answered (rule 26)."""
    one = encode_bytes(name, types.CLUSTER, value)
    response = Response(
        type_url=types.CLUSTER, version=version, nonce=nonce, resources=(one,), removed=tuple(removed), delta=True
    )
    message = DeltaDiscoveryResponse.FromString(encode(response, control_plane))
    (sent,) = message.resources
    assert (sent.name, sent.version) == (name, one.version)
    assert (sent.resource.type_url, sent.resource.value) == (types.CLUSTER, value)
    assert (list(message.removed_resources), message.nonce, message.system_version_info) == (removed, nonce, version)
    assert (message.type_url, message.control_plane.identifier) == (types.CLUSTER, "replica-1")


@given(name=text, value=st.binary(max_size=300), nonce=text, version=text)
def test_a_response_of_the_other_variant_too(name: str, value: bytes, nonce: str, version: str) -> None:
    """State of the world carries the bare ``Any``."""
    one = encode_bytes(name, types.CLUSTER, value)
    response = Response(type_url=types.CLUSTER, version=version, nonce=nonce, resources=(one, one), delta=False)
    message = DiscoveryResponse.FromString(encode(response, control_plane))
    assert [(sent.type_url, sent.value) for sent in message.resources] == [(types.CLUSTER, value)] * 2
    assert (message.version_info, message.nonce, message.type_url) == (version, nonce, types.CLUSTER)
    assert message.control_plane.identifier == "replica-1"


def test_equal_messages_have_equal_versions() -> None:
    """Rules 17 and 35: the content alone makes the version, on every replica; maps are sorted."""
    assert eds_cluster("a").version == eds_cluster("a").version
    assert eds_cluster("a").version != eds_cluster("a", timeout=2).version
    assert resource(types.CLUSTER, "a").version != resource(types.LISTENER, "a").version


def test_a_request_says_everything_that_the_server_reads() -> None:
    """State of the world."""
    message = DiscoveryRequest(
        type_url="t", resource_names=["a", "b"], version_info="v", response_nonce="n", node={"id": "i", "cluster": "g"}
    )
    message.node.user_agent_name = "envoy"
    message.node.user_agent_build_version.version.major_number = 1
    message.error_detail.message = "bad"
    node, request = parse_sotw(message.SerializeToString())
    assert node is not None
    assert (node.id, node.cluster, node.user_agent) == ("i", "g", "envoy 1.0.0")
    assert (request.type_url, request.names, request.version, request.nonce) == ("t", ("a", "b"), "v", "n")
    assert request.error == "bad"


def test_a_delta_request_says_everything_that_the_server_reads() -> None:
    """And without an error there is none."""
    message = DeltaDiscoveryRequest(
        type_url="t",
        resource_names_subscribe=["a"],
        resource_names_unsubscribe=["b"],
        initial_resource_versions={"c": "1"},
        response_nonce="n",
    )
    node, request = parse_delta(message.SerializeToString())
    assert node is None
    assert (request.subscribe, request.unsubscribe) == (("a",), ("b",))
    assert (dict(request.initial_versions), request.nonce, request.error) == ({"c": "1"}, "n", None)


def test_a_node_says_where_it_is_and_what_it_is() -> None:
    """Of its metadata what is one value, as text; what lies deeper is no part of it."""
    message = DiscoveryRequest(type_url="t", node={"locality": {"region": "r", "zone": "z", "sub_zone": "s"}})
    message.node.metadata.update(
        {"role": "edge", "build": 7, "load": 0.5, "spare": False, "labels": {"role": "x"}, "tags": ["a"], "none": None}
    )
    node, _ = parse_sotw(message.SerializeToString())
    assert node is not None
    assert (node.region, node.zone, node.sub_zone) == ("r", "z", "s")
    assert node.metadata == {"role": "edge", "build": "7", "load": "0.5", "spare": "false"}


def test_metadata_is_bounded() -> None:
    """What is too long is left out and not cut: half a value is another one."""
    message = DiscoveryRequest(type_url="t")
    message.node.metadata.update({f"{number:04}": "x" * 253 for number in range(1000)})
    message.node.metadata.update({"0": "x" * 254, "k" * 254: "1", "0001": "kept", "big": float("inf")})
    node, _ = parse_sotw(message.SerializeToString())
    assert node is not None
    assert node.metadata["0001"] == "kept"
    assert not {"0", "k" * 254} & set(node.metadata)
    assert 15_000 < sum(len(key) + len(text) for key, text in node.metadata.items()) <= 16 * 1024


def test_a_node_is_only_read_when_it_is_asked_for() -> None:
    """Rule 25: after the first request nobody looks at it, and some clients send it with each."""
    message = DiscoveryRequest(type_url="t", node={"id": "i"})
    assert parse_sotw(message.SerializeToString(), with_node=False)[0] is None


@given(nodes())
def test_any_node_is_read(message: NodeMessage) -> None:
    """Whatever a client says of itself, its texts are bounded and none is an error."""
    node, _ = parse_delta(DeltaDiscoveryRequest(type_url="t", node=message).SerializeToString())
    assert node is not None
    assert all(len(text) <= 253 for pair in node.metadata.items() for text in pair)
    assert sum(len(key) + len(text) for key, text in node.metadata.items()) <= 16 * 1024


def test_an_error_without_words_is_an_error() -> None:
    """Rule 1: its presence counts."""
    message = DiscoveryRequest(type_url="t")
    message.error_detail.SetInParent()
    assert parse_sotw(message.SerializeToString())[1].error == "no reason given (code 0)"


def test_what_clients_do_not_implement_is_accepted_and_ignored() -> None:
    """Rule 29: locators are not subscriptions."""
    message = DeltaDiscoveryRequest(type_url="t")
    message.resource_locators_subscribe.add(name="a")
    assert parse_delta(message.SerializeToString())[1].subscribe == ()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_wire_error(data: bytes) -> None:
    """A client may send anything."""
    for parse in (parse_sotw, parse_delta):
        try:
            parse(data)
        except WireError:
            continue


def test_words_are_bounded() -> None:
    """A client's words are kept; not all of a megabyte."""
    message = DiscoveryRequest(type_url="t", node={"id": "i" * 10_000})
    message.error_detail.message = "x" * 1_000_000
    node, request = parse_sotw(message.SerializeToString())
    assert node is not None
    assert request.error is not None
    assert (len(node.id), len(request.error)) == (253, 4096)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff"])
def test_bytes_that_are_no_message_say_so(data: bytes) -> None:
    """The stream is ended with ``INVALID_ARGUMENT``."""
    with pytest.raises(WireError, match="not a DiscoveryRequest"):
        parse_sotw(data)
