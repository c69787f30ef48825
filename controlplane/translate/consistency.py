"""Whether every name that a release uses is in it, and everything in it is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, cast

from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from controlplane.translate.release import Release
from controlplane.xds import types
from controlplane.xds.snapshot import Resource, Snapshot
from servicekit.contracts import AuthPolicy, LimitPolicy
from servicekit.contracts.auth_policy import RULE_EXTENSION
from servicekit.contracts.data_plane import (
    EXT_AUTHZ_CLUSTER,
    RATELIMIT_CLUSTER,
    RESERVED_PREFIX,
    RESPONSE_CACHE_CLUSTER,
    SYSTEM_CA_SECRET,
    XDS_CLUSTER,
)
from servicekit.contracts.limit_policy import LIMIT_ENTRY

RULE = AuthPolicy.TYPE_URL + "#rule"
LIMIT = LimitPolicy.TYPE_URL + "#limit"

_BOOTSTRAP: Mapping[str, frozenset[str]] = {
    types.CLUSTER: frozenset({EXT_AUTHZ_CLUSTER, RATELIMIT_CLUSTER, RESPONSE_CACHE_CLUSTER, XDS_CLUSTER}),
    types.SECRET: frozenset({SYSTEM_CA_SECRET}),
}

_ROOTS = frozenset({types.LISTENER, AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL, LIMIT})
"""Used by being there: Envoy and the services ask for all of them."""

_REFERENCES: Mapping[str, str] = {
    "envoy.config.route.v3.RouteAction.cluster": types.CLUSTER,
    "envoy.config.route.v3.RouteAction.RequestMirrorPolicy.cluster": types.CLUSTER,
    "envoy.config.route.v3.WeightedCluster.ClusterWeight.name": types.CLUSTER,
    "envoy.config.core.v3.GrpcService.EnvoyGrpc.cluster_name": types.CLUSTER,
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.cluster": types.CLUSTER,
    "envoy.extensions.filters.network.http_connection_manager.v3.Rds.route_config_name": types.ROUTE_CONFIGURATION,
    "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig.name": types.SECRET,
}
"""Fields that name another resource, by their full names."""

Names = defaultdict[str, set[str]]


class InconsistentReleaseError(Exception):
    """A release with loose ends; the text names every one."""


def check_consistent(release: Release) -> None:
    """Walk the whole release. Meant for tests and for the moment before a change, not for every request.

    Raises:
        InconsistentReleaseError: a name leads nowhere, nothing leads to a resource, or a name is the bootstrap's.
    """
    services, used_of_services = _names(release.services)
    problems: list[str] = []
    for group, snapshot in _distinct(release.groups).items():
        there, used = _names(snapshot)
        found = (*_dangling(used, there, services), *_unused(there, used), *_reserved(there))
        problems += (f"in group {group!r}: {problem}" for problem in found)
        _add(used, to=used_of_services)
    problems += _unused(services, used_of_services)
    if problems:
        raise InconsistentReleaseError("; ".join(sorted(problems)))


def _distinct(groups: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """Groups that share a snapshot are looked at once."""
    first = {id(snapshot): name for name, snapshot in reversed(tuple(groups.items()))}
    return {name: groups[name] for name in first.values()}


def _names(snapshot: Snapshot) -> tuple[Names, Names]:
    """What is there, and what it uses."""
    there: Names = defaultdict(set)
    used: Names = defaultdict(set)
    for type_url, resources in snapshot.resources.items():
        there[type_url].update(resources)
        for resource in resources.values():
            _note(resource, there, used)
    return there, used


def _add(names: Names, *, to: Names) -> None:
    for type_url, more in names.items():
        to[type_url] |= more


def decode(resource: Resource) -> Message:
    """The protobuf message of a resource whose type is generated code."""
    wrapped = AnyMessage.FromString(resource.body)
    return _unpack(wrapped)


def _note(resource: Resource, there: Names, used: Names) -> None:
    value = AnyMessage.FromString(resource.body).value
    if resource.type_url == AuthPolicy.TYPE_URL:
        there[RULE].update(AuthPolicy.decode(value).rules)
    elif resource.type_url == LimitPolicy.TYPE_URL:
        there[LIMIT].update(limit.name for limit in LimitPolicy.decode(value).limits)
    else:
        for type_url, name in _references(decode(resource)):
            used[type_url].add(name)


def _references(message: Message) -> Iterator[tuple[str, str]]:
    if isinstance(message, AnyMessage):
        if not message.type_url:  # a filter that is switched on, and has nothing to be told
            return
        message = _unpack(message)
    yield from _special(cast("Any", message), message.DESCRIPTOR.full_name)
    for field, value in message.ListFields():
        target = _REFERENCES.get(field.full_name)
        if target is not None:
            yield target, value
        elif field.message_type is not None:
            for child in _children(field, value):
                yield from _references(child)


def _special(message: Any, name: str) -> Iterator[tuple[str, str]]:
    """References that are more than a field of their own."""
    if name == "envoy.extensions.clusters.aggregate.v3.ClusterConfig":
        yield from ((types.CLUSTER, member) for member in message.clusters)
    elif name == "envoy.config.cluster.v3.Cluster" and message.HasField("eds_cluster_config"):
        yield types.CLUSTER_LOAD_ASSIGNMENT, message.eds_cluster_config.service_name or message.name
    elif name == "envoy.extensions.filters.http.ext_authz.v3.CheckSettings":
        if RULE_EXTENSION in message.context_extensions:
            yield RULE, message.context_extensions[RULE_EXTENSION]
    elif name == "envoy.config.route.v3.RateLimit.Action.GenericKey" and message.descriptor_key == LIMIT_ENTRY:
        yield LIMIT, message.descriptor_value


def _children(field: Any, value: Any) -> Iterator[Message]:
    if field.message_type.GetOptions().map_entry:
        return (child for child in value.values() if isinstance(child, Message))
    return iter(value if field.is_repeated else (value,))


def _unpack(wrapped: AnyMessage) -> Message:
    """The message inside; its generated module must have been imported, as it is wherever the message was built."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(wrapped.TypeName())
    message: Message = GetMessageClass(descriptor)()
    message.ParseFromString(wrapped.value)
    return message


def _dangling(used: Names, there: Names, services: Names) -> Iterator[str]:
    for type_url, names in used.items():
        for name in names - there[type_url] - services[type_url] - _BOOTSTRAP.get(type_url, frozenset()):
            yield f"{_short(type_url)} {name!r} is used but is not there"


def _unused(there: Names, used: Names) -> Iterator[str]:
    for type_url, names in there.items():
        if type_url not in _ROOTS:
            for name in names - used[type_url]:
                yield f"{_short(type_url)} {name!r} is there but nothing uses it"


def _reserved(there: Names) -> Iterator[str]:
    for type_url in (types.CLUSTER, types.LISTENER, types.SECRET):
        for name in there[type_url]:
            if name.startswith(RESERVED_PREFIX):
                yield f"{_short(type_url)} {name!r} has a name that is the gateway's own"


def _short(type_url: str) -> str:
    return type_url.rpartition(".")[2]
