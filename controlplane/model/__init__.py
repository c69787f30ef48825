"""The resolved gateway: frozen values, every name linked, every default applied. No pydantic, no protobuf, no I/O."""

from controlplane.model.actions import (
    Action,
    Forward,
    HeaderChanges,
    HeaderValue,
    Mirror,
    PathRewrite,
    Redirect,
    Replacement,
    Respond,
    Share,
    Variable,
    upstreams_of,
)
from controlplane.model.address_rules import AddressRules
from controlplane.model.cors import Cors, OriginMatch
from controlplane.model.gateway import Gateway
from controlplane.model.listeners import (
    ClientCertificates,
    HttpRules,
    HttpsRedirect,
    Listener,
    ListenerTls,
)
from controlplane.model.node_groups import EDGE, Canary, NodeGroup, NodeSelector
from controlplane.model.policies import ApiKeyProvider, IdentityProvider, JwtProvider, RateLimit, Tier, TokenPlace
from controlplane.model.routes import (
    Authorization,
    ClaimCondition,
    PathMatch,
    RetryPolicy,
    Route,
    RouteMatch,
    ValueMatch,
)
from controlplane.model.tls_files import CertificateFiles
from controlplane.model.upstreams import (
    CircuitBreaker,
    Endpoint,
    HashKey,
    HealthCheck,
    TargetList,
    Upstream,
    UpstreamTls,
)

__all__ = [
    "EDGE",
    "Action",
    "AddressRules",
    "ApiKeyProvider",
    "Authorization",
    "Canary",
    "CertificateFiles",
    "CircuitBreaker",
    "ClaimCondition",
    "ClientCertificates",
    "Cors",
    "Endpoint",
    "Forward",
    "Gateway",
    "HashKey",
    "HeaderChanges",
    "HeaderValue",
    "HealthCheck",
    "HttpRules",
    "HttpsRedirect",
    "IdentityProvider",
    "JwtProvider",
    "Listener",
    "ListenerTls",
    "Mirror",
    "NodeGroup",
    "NodeSelector",
    "OriginMatch",
    "PathMatch",
    "PathRewrite",
    "RateLimit",
    "Redirect",
    "Replacement",
    "Respond",
    "RetryPolicy",
    "Route",
    "RouteMatch",
    "Share",
    "TargetList",
    "Tier",
    "TokenPlace",
    "Upstream",
    "UpstreamTls",
    "ValueMatch",
    "Variable",
    "upstreams_of",
]
