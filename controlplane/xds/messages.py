"""What crosses a stream, as plain values: requests with everything that the server reads in them, and responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.xds.snapshot import Resource

WILDCARD = "*"
"""The name that stands for every resource of the client."""


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
