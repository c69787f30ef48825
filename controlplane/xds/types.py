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

KNOWN: Final = frozenset(
    {
        LISTENER,
        ROUTE_CONFIGURATION,
        CLUSTER,
        CLUSTER_LOAD_ASSIGNMENT,
        SECRET,
        VIRTUAL_HOST,
        SCOPED_ROUTE_CONFIGURATION,
        EXTENSION_CONFIG,
        RUNTIME,
    }
)
"""Types of which a snapshot always says something, if only that there is nothing."""

FULL_STATE: Final = frozenset({LISTENER, CLUSTER})
"""In state-of-the-world, a response of these types is everything there is; absence is deletion."""

DELTA_ONLY: Final = frozenset({VIRTUAL_HOST})
"""Types that state-of-the-world does not carry."""

ON_DEMAND: Final = frozenset({VIRTUAL_HOST})
"""Types that a client asks for while a request waits. It goes on when an answer has the name that it asked for, as name
or alias, and a removal is no such answer: that a name does not exist is told by a resource without a body."""

KEPT_UNTIL_UNSUBSCRIBED: Final = frozenset({EXTENSION_CONFIG})
"""Types whose removal is not told: requests through a filter whose configuration was taken away would fail
(envoyproxy/envoy#32823). The listener that names it changes first; then the client unsubscribes by itself."""
