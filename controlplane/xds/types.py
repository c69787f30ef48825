"""The resource types that the server knows, by type URL."""

from __future__ import annotations

from typing import Final

_ENVOY: Final = "type.googleapis.com/envoy."

LISTENER: Final = _ENVOY + "config.listener.v3.Listener"
ROUTE_CONFIGURATION: Final = _ENVOY + "config.route.v3.RouteConfiguration"
CLUSTER: Final = _ENVOY + "config.cluster.v3.Cluster"
CLUSTER_LOAD_ASSIGNMENT: Final = _ENVOY + "config.endpoint.v3.ClusterLoadAssignment"
SECRET: Final = _ENVOY + "extensions.transport_sockets.tls.v3.Secret"
VIRTUAL_HOST: Final = _ENVOY + "config.route.v3.VirtualHost"
SCOPED_ROUTE_CONFIGURATION: Final = _ENVOY + "config.route.v3.ScopedRouteConfiguration"
EXTENSION_CONFIG: Final = _ENVOY + "config.core.v3.TypedExtensionConfig"
RUNTIME: Final = _ENVOY + "service.runtime.v3.Runtime"
