"""The resolved gateway: frozen values, every name linked, every default applied. No pydantic, no protobuf, no I/O."""

from controlplane.model.gateway import Gateway, Listener
from controlplane.model.node_groups import EDGE, Canary, NodeGroup, NodeSelector
from controlplane.model.policies import ApiKeyProvider, IdentityProvider, JwtProvider, RateLimit, TokenPlace
from controlplane.model.routes import (
    Authorization,
    ClaimCondition,
    HeaderMatch,
    PathMatch,
    RetryPolicy,
    Route,
    RouteMatch,
)
from controlplane.model.upstreams import CircuitBreaker, Endpoint, HealthCheck, Upstream

__all__ = [
    "EDGE",
    "ApiKeyProvider",
    "Authorization",
    "Canary",
    "CircuitBreaker",
    "ClaimCondition",
    "Endpoint",
    "Gateway",
    "HeaderMatch",
    "HealthCheck",
    "IdentityProvider",
    "JwtProvider",
    "Listener",
    "NodeGroup",
    "NodeSelector",
    "PathMatch",
    "RateLimit",
    "RetryPolicy",
    "Route",
    "RouteMatch",
    "TokenPlace",
    "Upstream",
]
