"""The whole resolved gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.model.listeners import Listener
from controlplane.model.node_groups import EDGE, Canary, NodeGroup
from controlplane.model.policies import IdentityProvider, RateLimit
from controlplane.model.routes import Route
from controlplane.model.upstreams import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What a document means. All names are unique within their tuple; every reference resolves."""

    listeners: tuple[Listener, ...]
    upstreams: tuple[Upstream, ...]
    routes: tuple[Route, ...]
    """In the order in which they are tried."""
    identity_providers: tuple[IdentityProvider, ...]
    rate_limits: tuple[RateLimit, ...]
    node_groups: tuple[NodeGroup, ...] = (EDGE,)
    """In the order in which they are tried; the first that means a node takes it. Never empty."""
    canary: Canary | None = None
    security_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every response, in lower case."""
