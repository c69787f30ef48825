"""What each client has, as the client status discovery service tells it (``envoy.service.status.v3``). Pure.

Bodies of secrets are never told, nor those of types that only this gateway knows: policies hold hashes of keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from envoy.admin.v3.config_dump_shared_pb2 import ClientResourceStatus
from envoy.config.core.v3.base_pb2 import Node as NodeMessage
from envoy.service.status.v3.csds_pb2 import ClientConfig, ConfigStatus
from google.protobuf.any_pb2 import Any
from google.protobuf.timestamp_pb2 import Timestamp

from controlplane.xds import types
from controlplane.xds.ledger import Client
from controlplane.xds.messages import Node
from controlplane.xds.standing import ResourceStanding, Standing, standings
from controlplane.xds.subscription import Subscription

SHOWN: Final = types.KNOWN - {types.SECRET}
"""Types whose resources' bodies are told."""

_STATUS: Final = {
    Standing.SYNCED: (ConfigStatus.SYNCED, ClientResourceStatus.ACKED),
    Standing.NOT_SENT: (ConfigStatus.NOT_SENT, ClientResourceStatus.REQUESTED),
    Standing.STALE: (ConfigStatus.STALE, ClientResourceStatus.REQUESTED),
    Standing.REFUSED: (ConfigStatus.ERROR, ClientResourceStatus.NACKED),
    Standing.UNSURE: (ConfigStatus.UNKNOWN, ClientResourceStatus.UNKNOWN),
    Standing.MISSING: (ConfigStatus.SYNCED, ClientResourceStatus.DOES_NOT_EXIST),
}


def client_configs(
    streams: Iterable[Client], *, epoch_offset: float, with_bodies: bool, most_bytes: int
) -> Iterator[ClientConfig]:
    """What one client has, over all of its streams; in several messages when one would be larger than ``most_bytes``.

    Args:
        streams: of one client.
        epoch_offset: what makes seconds since the epoch of the streams' times.
        with_bodies: whether the resources are wanted, and not only their names and versions.
        most_bytes: more than that is only in a message that holds one resource.
    """
    config, size, is_empty = ClientConfig(), 0, True
    for stream in streams:
        if not config.HasField("node"):
            config.node.CopyFrom(_node(stream.node))
        for subscription in stream.state.subscriptions.values():
            for one in standings(subscription):
                entry = _entry(subscription, one, epoch_offset=epoch_offset, with_body=with_bodies)
                length = entry.ByteSize() + _FRAMING
                if size + length > most_bytes and not is_empty:
                    yield config
                    config, size = ClientConfig(node=config.node), 0
                config.generic_xds_configs.append(entry)
                size, is_empty = size + length, False
    yield config


_FRAMING = 16
"""More bytes than a tag and a length take."""


def _node(node: Node) -> NodeMessage:
    name, _, version = node.user_agent.partition(" ")
    message = NodeMessage(id=node.id, cluster=node.cluster, user_agent_name=name, user_agent_version=version)
    if node.region or node.zone or node.sub_zone:
        message.locality.region, message.locality.zone = node.region, node.zone
        message.locality.sub_zone = node.sub_zone
    message.metadata.update(dict(node.metadata))
    return message


def _entry(
    subscription: Subscription, one: ResourceStanding, *, epoch_offset: float, with_body: bool
) -> ClientConfig.GenericXdsConfig:
    status, client_status = _STATUS[one.standing]
    entry = ClientConfig.GenericXdsConfig(
        type_url=subscription.type_url, name=one.name, config_status=status, client_status=client_status
    )
    progress = subscription.progress
    if one.resource is not None and one.standing is not Standing.NOT_SENT:
        entry.version_info = one.resource.version
        if progress.sent_at is not None:
            entry.last_updated.CopyFrom(_timestamp(progress.sent_at + epoch_offset))
    body = None
    if with_body and one.resource is not None and subscription.type_url in SHOWN:
        body = Any.FromString(one.resource.body)
        entry.xds_config.CopyFrom(body)
    if one.standing is Standing.REFUSED:
        _add_error(entry, subscription, one, body, epoch_offset)
    return entry


def _add_error(
    entry: ClientConfig.GenericXdsConfig,
    subscription: Subscription,
    one: ResourceStanding,
    body: Any | None,
    epoch_offset: float,
) -> None:
    progress = subscription.progress
    entry.error_state.details = progress.error
    entry.error_state.version_info = progress.refused_version if one.resource is None else one.resource.version
    if progress.refused_at is not None:
        entry.error_state.last_update_attempt.CopyFrom(_timestamp(progress.refused_at + epoch_offset))
    if body is not None:
        entry.error_state.failed_configuration.CopyFrom(body)


def _timestamp(seconds: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMicroseconds(int(seconds * 1e6))
    return timestamp
