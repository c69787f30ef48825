"""Rate limits: asks the rate-limit service with the descriptors of a route's limits."""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.ratelimit.v3.rls_pb2 import RateLimitServiceConfig
from envoy.config.route.v3.route_components_pb2 import RateLimit as RouteRateLimit
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit as RateLimitFilterConfig
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimitPerRoute
from envoy.type.metadata.v3.metadata_pb2 import MetadataKey
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode

from controlplane.model import RateLimit
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration
from servicekit.contracts.auth_policy import METADATA_API_KEY, METADATA_NAMESPACE, METADATA_TIER, METADATA_USER
from servicekit.contracts.data_plane import CLIENT_ADDRESS_HEADER, RATELIMIT_CLUSTER
from servicekit.contracts.limit_policy import DOMAIN, LIMIT_ENTRY, NO_TIER, TIER_ENTRY

_TIMEOUT = 0.1
_METADATA_KEYS: Mapping[str, str] = {"user": METADATA_USER, "api_key": METADATA_API_KEY}


class RateLimitFilter:
    """One of the two places where limits are asked for."""

    is_optional = False

    def __init__(self, *, name: str, tiers: frozenset[str], stat_prefix: str) -> None:
        self.name = name
        self._tiers = tiers
        self._stat_prefix = stat_prefix

    def on_connection_manager(self) -> RateLimitFilterConfig:
        """Lets pass when the service is away; what happens when its store is away is each limit's own choice."""
        return RateLimitFilterConfig(
            domain=DOMAIN,
            stat_prefix=self._stat_prefix,
            timeout=duration(_TIMEOUT),
            failure_mode_deny=False,
            rate_limited_status=HttpStatus(code=StatusCode.TooManyRequests),
            disable_x_envoy_ratelimited_header=True,
            rate_limit_service=RateLimitServiceConfig(
                transport_api_version=ApiVersion.V3,
                grpc_service=GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=RATELIMIT_CLUSTER)),
            ),
        )

    def on_route(self, context: RouteContext) -> RateLimitPerRoute | None:
        """The descriptors of the route's limits in these tiers; without any the service is not asked."""
        limits = [limit for limit in context.limits if limit.by in self._tiers and limit.enforce == "shared"]
        return RateLimitPerRoute(rate_limits=map(_descriptor, limits)) if limits else None

    def on_own_route(self) -> None:
        """Envoy's own answers are not limited."""


def _descriptor(limit: RateLimit) -> RouteRateLimit:
    generic_key = RouteRateLimit.Action.GenericKey(descriptor_key=LIMIT_ENTRY, descriptor_value=limit.name)
    actions = [RouteRateLimit.Action(generic_key=generic_key), _caller(limit)]
    return RouteRateLimit(actions=[*actions, _tier()] if limit.tiers else actions)


def _caller(limit: RateLimit) -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    if limit.by == "ip":
        # The remote_address action has the same value under a fixed key, and a descriptor's key has to be the limit's.
        return action(request_headers=action.RequestHeaders(header_name=CLIENT_ADDRESS_HEADER, descriptor_key=limit.by))
    key = MetadataKey(key=METADATA_NAMESPACE, path=[MetadataKey.PathSegment(key=_METADATA_KEYS[limit.by])])
    # Absent metadata drops the whole descriptor (skip_if_absent would send it without the caller).
    return action(metadata=action.MetaData(descriptor_key=limit.by, metadata_key=key, source=action.MetaData.DYNAMIC))


def _tier() -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    key = MetadataKey(key=METADATA_NAMESPACE, path=[MetadataKey.PathSegment(key=METADATA_TIER)])
    return action(
        metadata=action.MetaData(
            descriptor_key=TIER_ENTRY, metadata_key=key, source=action.MetaData.DYNAMIC, default_value=NO_TIER
        )
    )
