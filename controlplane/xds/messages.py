"""What crosses a stream, as plain values: requests with everything that the server reads in them, and responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.xds.snapshot import Resource

WILDCARD = "*"
"""The name that stands for every resource of the client."""


TTL_FEATURE = "xds.config.supports-resource-ttl"
"""The client knows what a time to live is."""

SOTW_RESOURCE_FEATURES = frozenset({"xds.config.resource-in-sotw", "xds.config.supports-resource-in-sotw"})
"""The client takes resources wrapped in ``Resource`` in state of the world. Envoy's documentation has both names."""

FEATURES = SOTW_RESOURCE_FEATURES | {TTL_FEATURE}


@dataclass(frozen=True, slots=True)
class Node:
    """Who is asking (``envoy.config.core.v3.Node``)."""

    id: str = ""
    cluster: str = ""
    user_agent: str = ""
    """Name and version of the client's software."""
    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Texts, numbers and booleans of its top level, as text; what lies deeper is left out."""
    features: frozenset[str] = frozenset()
    """Those of :data:`FEATURES` that it announces (``client_features``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SotwRequest:
    """A ``DiscoveryRequest``."""

    type_url: str
    names: tuple[str, ...] = ()
    """Everything that the client wants, not only what is new."""
    version: str = ""
    nonce: str = ""
    error: str | None = None
    """The client's words when it refuses the response of :attr:`nonce`; ``None`` when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRequest:
    """A ``DeltaDiscoveryRequest``."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    """What a reconnecting client has; only meant in its first request for the type."""
    nonce: str = ""
    error: str | None = None
    """The client's words when it refuses the response of :attr:`nonce`; ``None`` when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A ``DiscoveryResponse`` or a ``DeltaDiscoveryResponse``."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()
    """Names that do not exist, or not any more; delta only."""
    delta: bool
    with_ttl: bool = False
    """Whether the client is told of times to live."""
    heartbeat: bool = False
    """Whether the resources are only said to live on, without their bodies."""
