"""From the resolved gateway to a release: what each node group gets, and what the services get."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from controlplane.model import Canary, Gateway, Listener, NodeGroup, Route
from controlplane.translate.translator import Translator
from controlplane.xds.snapshot import Snapshot

SERVICES: Final = "services"
"""The group of the gateway's own services; no group of a document may be called that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Everything that goes live together."""

    node_groups: tuple[NodeGroup, ...]
    """In the order in which they are tried."""
    groups: Mapping[str, Snapshot]
    """What Envoy gets, by the name of its group. Groups that get the same share one snapshot."""
    services: Snapshot
    """The policies of the whole document."""
    canary: Canary | None

    @property
    def versions(self) -> str:
        """Hash of what every node gets, and of who that is; how it is rolled out is no part of it.

        Equal on every replica that read the same document.
        """
        digest = hashlib.sha256(repr([_plain(group) for group in self.node_groups]).encode())
        for name, snapshot in (*self.groups.items(), (SERVICES, self.services)):
            digest.update(repr((name, sorted(snapshot.versions.items()))).encode())
        return digest.hexdigest()[:12]


def translate_release(gateway: Gateway) -> Release:
    """What ``gateway`` means for every group. Equal gateways give equal releases."""
    translator = Translator(gateway)
    views: dict[tuple[tuple[Listener, ...], tuple[str, ...]], Snapshot] = {}
    groups: dict[str, Snapshot] = {}
    for group in gateway.node_groups:
        listeners, routes = listeners_of(group, gateway), routes_of(group, gateway)
        view = (listeners, tuple(route.name for route in routes))
        if view not in views:
            views[view] = translator.group(listeners, routes)
        groups[group.name] = views[view]
    return Release(
        node_groups=gateway.node_groups,
        groups=MappingProxyType(groups),
        services=translator.services(),
        canary=gateway.canary,
    )


def listeners_of(group: NodeGroup, gateway: Gateway) -> tuple[Listener, ...]:
    """The listeners that the nodes of ``group`` open."""
    return tuple(one for one in gateway.listeners if not group.listeners or one.name in group.listeners)


def routes_of(group: NodeGroup, gateway: Gateway) -> tuple[Route, ...]:
    """The routes that the nodes of ``group`` serve, in their order."""
    return tuple(
        route
        for route in gateway.routes
        if all(route.labels.get(label) in values for label, values in group.labels.items())
    )


def _plain(group: NodeGroup) -> object:
    nodes = group.nodes
    keys = (nodes.ids, nodes.clusters, nodes.regions, nodes.zones, sorted(nodes.metadata.items()), nodes.identities)
    return (group.name, keys)
