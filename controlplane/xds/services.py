"""The discovery services of the protocol: each method's path, its variant, and the type that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from controlplane.xds import types

_PACKAGES = "envoy.service."


class Method(NamedTuple):
    """One streaming method."""

    service: str
    """Full name of the service."""
    name: str
    delta: bool
    type_url: str | None
    """The only type that it is for; ``None`` for every type (ADS)."""


_SERVICES = (
    ("discovery.v3.AggregatedDiscoveryService", "AggregatedResources", None),
    ("listener.v3.ListenerDiscoveryService", "Listeners", types.LISTENER),
    ("route.v3.RouteDiscoveryService", "Routes", types.ROUTE_CONFIGURATION),
    ("route.v3.VirtualHostDiscoveryService", "VirtualHosts", types.VIRTUAL_HOST),
    ("route.v3.ScopedRoutesDiscoveryService", "ScopedRoutes", types.SCOPED_ROUTE_CONFIGURATION),
    ("cluster.v3.ClusterDiscoveryService", "Clusters", types.CLUSTER),
    ("endpoint.v3.EndpointDiscoveryService", "Endpoints", types.CLUSTER_LOAD_ASSIGNMENT),
    ("secret.v3.SecretDiscoveryService", "Secrets", types.SECRET),
    ("extension.v3.ExtensionConfigDiscoveryService", "ExtensionConfigs", types.EXTENSION_CONFIG),
    ("runtime.v3.RuntimeDiscoveryService", "Runtime", types.RUNTIME),
)


def methods() -> Iterator[Method]:
    """Every method; virtual hosts have no state-of-the-world variant."""
    for service, suffix, type_url in _SERVICES:
        yield Method(_PACKAGES + service, f"Delta{suffix}", delta=True, type_url=type_url)
        if type_url not in types.DELTA_ONLY:
            yield Method(_PACKAGES + service, f"Stream{suffix}", delta=False, type_url=type_url)
