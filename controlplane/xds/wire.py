"""Discovery messages as bytes: requests parsed with the official protos, responses joined from encoded parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from envoy.config.core.v3.base_pb2 import ControlPlane
from envoy.config.core.v3.base_pb2 import Node as NodeMessage
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy.service.discovery.v3.discovery_pb2 import Resource as ResourceMessage
from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct, Value
from google.rpc.status_pb2 import Status

from controlplane.xds.errors import WireError
from controlplane.xds.fields import field_head, string_field
from controlplane.xds.messages import FEATURES, DeltaRequest, Node, Response, SotwRequest
from controlplane.xds.snapshot import Resource
from controlplane.xds.subscription import LONGEST_ERROR

_RESOURCE_TYPE = "type.googleapis.com/envoy.service.discovery.v3.Resource"
_LONGEST_NODE_TEXT = 253
_MOST_METADATA = 16 * 1024
"""Characters of keys and values together."""

_M = TypeVar("_M", DiscoveryRequest, DeltaDiscoveryRequest, LoadStatsRequest)


def parse_sotw(data: bytes, *, with_node: bool = True) -> tuple[Node | None, SotwRequest]:
    """A ``DiscoveryRequest``, and the node if it says one and is asked (``with_node``).

    Raises:
        WireError: the bytes are not one.
    """
    message = _parse(DiscoveryRequest, data)
    return _node(message) if with_node else None, SotwRequest(
        type_url=message.type_url,
        names=tuple(message.resource_names),
        version=message.version_info,
        nonce=message.response_nonce,
        error=_error(message),
    )


def parse_delta(data: bytes, *, with_node: bool = True) -> tuple[Node | None, DeltaRequest]:
    """A ``DeltaDiscoveryRequest``, and the node if it says one and is asked (``with_node``).

    Raises:
        WireError: the bytes are not one.
    """
    message = _parse(DeltaDiscoveryRequest, data)
    return _node(message) if with_node else None, DeltaRequest(
        type_url=message.type_url,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=_error(message),
    )


def parse_load_stats(data: bytes) -> tuple[Node, LoadStatsRequest]:
    """A ``LoadStatsRequest``, and who sent it.

    Raises:
        WireError: the bytes are not one.
    """
    message = _parse(LoadStatsRequest, data)
    return _node(message) or Node(), message


def encode_control_plane(identifier: str) -> bytes:
    """The value of ``control_plane`` in every response: which replica answered."""
    value: bytes = ControlPlane(identifier=identifier).SerializeToString()
    return value


def encode(response: Response, control_plane: bytes) -> bytes:
    """A ``DiscoveryResponse`` or ``DeltaDiscoveryResponse``. No resource is serialized, only joined."""
    parts = [string_field(1, response.version), string_field(4, response.type_url), string_field(5, response.nonce)]
    parts += (field_head(7 if response.delta else 6, len(control_plane)), control_plane)
    for resource in response.resources:
        if response.heartbeat or (response.with_ttl and resource.ttl):
            parts.append(_living(resource, delta=response.delta, heartbeat=response.heartbeat))
            continue
        parts += (resource.delta_head if response.delta else resource.sotw_head, resource.body)
    for name in map(str.encode, response.removed):
        parts += (field_head(6, len(name)), name)
    return b"".join(parts)


def _living(resource: Resource, *, delta: bool, heartbeat: bool) -> bytes:
    """A field of a response with a resource and its time to live; in state of the world that needs a wrapper."""
    seconds, rest = divmod(round(resource.ttl * 1000), 1000)
    message = ResourceMessage(name=resource.alias_of or resource.name, version=resource.version)
    if resource.alias_of:
        message.aliases.append(resource.name)
    message.ttl.seconds, message.ttl.nanos = seconds, rest * 1_000_000
    if not heartbeat:
        message.resource.MergeFromString(resource.body)
    data: bytes = message.SerializeToString()
    if not delta:
        data = AnyMessage(type_url=_RESOURCE_TYPE, value=data).SerializeToString()
    return field_head(2, len(data)) + data


def _parse(kind: type[_M], data: bytes) -> _M:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise WireError(f"not a {kind.__name__}: {error}") from None


def _node(message: DiscoveryRequest | DeltaDiscoveryRequest | LoadStatsRequest) -> Node | None:
    if not message.HasField("node"):
        return None
    node: NodeMessage = message.node
    return Node(
        id=node.id[:_LONGEST_NODE_TEXT],
        cluster=node.cluster[:_LONGEST_NODE_TEXT],
        user_agent=" ".join(filter(None, (node.user_agent_name, _agent_version(node))))[:_LONGEST_NODE_TEXT],
        region=node.locality.region[:_LONGEST_NODE_TEXT],
        zone=node.locality.zone[:_LONGEST_NODE_TEXT],
        sub_zone=node.locality.sub_zone[:_LONGEST_NODE_TEXT],
        metadata=_metadata(node.metadata) if node.HasField("metadata") else {},
        features=FEATURES.intersection(node.client_features),
    )


def _metadata(metadata: Struct) -> Mapping[str, str]:
    """As much as fits, in the order of the keys. What is too long is left out whole: a part of it might be taken for
    something else."""
    kept: dict[str, str] = {}
    room = _MOST_METADATA
    for key, text in sorted(_plain_texts(metadata)):
        if max(len(key), len(text)) <= _LONGEST_NODE_TEXT and len(key) + len(text) <= room:
            kept[key] = text
            room -= len(key) + len(text)
    return kept


def _plain_texts(metadata: Struct) -> Iterator[tuple[str, str]]:
    for key, value in metadata.fields.items():
        text = _text(value)
        if text is not None:
            yield key, text


def _text(value: Value) -> str | None:
    """A scalar as a document writes it; ``None`` for what is no scalar."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return str(value.string_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "number_value":
        number = value.number_value
        return str(int(number)) if number.is_integer() else str(number)
    return None


def _agent_version(node: NodeMessage) -> str:
    if node.HasField("user_agent_build_version"):
        version = node.user_agent_build_version.version
        return f"{version.major_number}.{version.minor_number}.{version.patch}"
    return str(node.user_agent_version)


def _error(message: DiscoveryRequest | DeltaDiscoveryRequest) -> str | None:
    """The client's words; it is their presence that refuses, even when they are empty."""
    if not message.HasField("error_detail"):
        return None
    detail: Status = message.error_detail
    return detail.message[:LONGEST_ERROR] or f"no reason given (code {detail.code})"
