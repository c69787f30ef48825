"""Rate limits: asks the rate-limit service with the descriptors of a route's limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.ratelimit.v3.rls_pb2 import RateLimitServiceConfig
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.config.route.v3.route_components_pb2 import RateLimit as RouteRateLimit
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit as RateLimitFilterConfig
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimitPerRoute
from envoy.type.metadata.v3.metadata_pb2 import MetadataKey
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from google.protobuf.wrappers_pb2 import UInt64Value

from controlplane.model import RateLimit, Route
from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration, packed
from servicekit.contracts.auth_policy import METADATA_API_KEY, METADATA_NAMESPACE, METADATA_TIER, METADATA_USER
from servicekit.contracts.data_plane import CLIENT_ADDRESS_HEADER, RATELIMIT_CLUSTER
from servicekit.contracts.limit_policy import (
    ALWAYS_THERE,
    BY_ENTRY,
    CHARGE_ENTRY,
    COST_ENTRY,
    DOMAIN,
    LEASE_ENTRY,
    LIMIT_ENTRY,
    NO_TIER,
    PRIORITY_ENTRY,
    RELEASE_ENTRY,
    TIER_ENTRY,
)

_TIMEOUT = 0.1
LONGEST_WAITS: Final = (1.0, 3.0, 10.0)
"""Seconds that a filter has patience for; a limit's own is the shortest that is enough."""
_REQUEST_ID = "x-request-id"
_OPTIONAL = ("header", "claim")
_METADATA_KEYS: Mapping[str, str] = {"user": METADATA_USER, "api_key": METADATA_API_KEY}


class RateLimitFilter:
    """One of the places where limits are asked for.

    Args:
        asks: which of a route's limits in Redis.
        timeout: seconds for an answer.
    """

    is_optional = False

    def __init__(
        self, *, name: str, asks: Callable[[RateLimit], bool], stat_prefix: str, timeout: float = _TIMEOUT
    ) -> None:
        self.name = name
        self._asks = asks
        self._stat_prefix = stat_prefix
        self._timeout = timeout

    def on_connection_manager(self) -> RateLimitFilterConfig:
        """Lets pass when the service is away; what happens when its store is away is each limit's own choice."""
        return RateLimitFilterConfig(
            domain=DOMAIN,
            stat_prefix=self._stat_prefix,
            timeout=duration(self._timeout),
            failure_mode_deny=False,
            rate_limited_status=HttpStatus(code=StatusCode.TooManyRequests),
            rate_limited_as_resource_exhausted=True,
            disable_x_envoy_ratelimited_header=True,
            rate_limit_service=RateLimitServiceConfig(
                transport_api_version=ApiVersion.V3,
                grpc_service=GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=RATELIMIT_CLUSTER)),
            ),
        )

    def on_route(self, context: RouteContext) -> RateLimitPerRoute | None:
        """The descriptors of the route's limits that are asked for here; without any the service is not asked."""
        limits = [limit for limit in context.limits if limit.enforce == "shared" and self._asks(limit)]
        asked = [one for limit in limits for one in _descriptors(limit, context.route)]
        return RateLimitPerRoute(rate_limits=asked) if asked else None

    def on_own_route(self) -> None:
        """Envoy's own answers are not limited."""


class WaitingFilter:
    """Asks for limits under which requests wait, and is as patient as the longest that it asks for may need.

    One for each of a few lengths: which of them a limit has is a matter of routes, and no change of it drains a
    listener.
    """

    is_optional = True

    def __init__(self, longest: float) -> None:
        self.name = names.waiting_filter(longest)
        self._asked = RateLimitFilter(
            name=self.name,
            asks=lambda limit: limit.waits and _patience(limit) == longest,
            stat_prefix="waiting",
            timeout=longest + _TIMEOUT,
        )

    def on_connection_manager(self) -> RateLimitFilterConfig:
        """As the other places, and more patient."""
        return self._asked.on_connection_manager()

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The descriptors of the route's limits that let requests wait for so long."""
        asked = self._asked.on_route(context)
        return None if asked is None else FilterConfig(config=packed(asked))

    def on_own_route(self) -> None:
        """Envoy's own answers are not limited."""


def _patience(limit: RateLimit) -> float:
    return next(seconds for seconds in LONGEST_WAITS if limit.max_wait <= seconds)


def _descriptors(limit: RateLimit, route: Route) -> Iterator[RouteRateLimit]:
    actions = [_fixed(LIMIT_ENTRY, limit.name)]
    parts = limit.by
    if len(parts) != 1 or parts[0] not in ALWAYS_THERE:
        actions.append(_fixed(BY_ENTRY, limit.by_text))
    actions += [_part(part, limit, route.name) for part in parts]
    if limit.tiers and TIER_ENTRY not in parts:
        actions.append(_tier())
    if limit.algorithm == "concurrency":
        actions.append(_header(_REQUEST_ID, LEASE_ENTRY, skip_if_absent=True))
        yield RouteRateLimit(actions=actions)
        yield RouteRateLimit(actions=[*actions, _fixed(RELEASE_ENTRY, RELEASE_ENTRY)], apply_on_stream_done=True)
        return
    if limit.waits:
        actions.append(_fixed(PRIORITY_ENTRY, str(route.priority)))
    cost = limit.cost
    if isinstance(cost, int):
        hits = RouteRateLimit.HitsAddend(number=UInt64Value(value=cost)) if cost > 1 else None
        yield RouteRateLimit(actions=actions, hits_addend=hits)
    elif cost.place == "request":
        yield RouteRateLimit(actions=[*actions, _header(cost.header, COST_ENTRY, skip_if_absent=True)])
    else:
        yield RouteRateLimit(actions=actions)
        yield RouteRateLimit(
            actions=[*actions, _fixed(CHARGE_ENTRY, CHARGE_ENTRY)],
            # Without the header, or with anything but a number in it, Envoy leaves the descriptor out.
            hits_addend=RouteRateLimit.HitsAddend(format=f"%RESP({cost.header})%"),
            apply_on_stream_done=True,
        )


def _part(part: str, limit: RateLimit, route: str) -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    kind, _, name = part.partition(":")
    if kind in _METADATA_KEYS:
        return _identity(kind)
    if kind == "tier":
        return _tier()
    if kind == "route":
        return _fixed(part, route)
    if kind == "query":
        query = action.QueryParameters(query_parameter_name=name, descriptor_key=part, skip_if_absent=True)
        return action(query_parameters=query)
    # The remote_address action has the same value under a fixed key, and a descriptor's key has to be the limit's.
    header = {"ip": CLIENT_ADDRESS_HEADER, "path": ":path", "method": ":method"}.get(kind, name)
    if kind == "claim":
        header = limit.claim_headers[name]
    return _header(header, part, skip_if_absent=kind in _OPTIONAL)


def _header(name: str, key: str, *, skip_if_absent: bool) -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    return action(
        request_headers=action.RequestHeaders(header_name=name, descriptor_key=key, skip_if_absent=skip_if_absent)
    )


def _fixed(key: str, value: str) -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    return action(generic_key=action.GenericKey(descriptor_key=key, descriptor_value=value))


def _identity(kind: str) -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    key = MetadataKey(key=METADATA_NAMESPACE, path=[MetadataKey.PathSegment(key=_METADATA_KEYS[kind])])
    # Absent metadata drops the whole descriptor (skip_if_absent would send it without the caller).
    return action(metadata=action.MetaData(descriptor_key=kind, metadata_key=key, source=action.MetaData.DYNAMIC))


def _tier() -> RouteRateLimit.Action:
    action = RouteRateLimit.Action
    key = MetadataKey(key=METADATA_NAMESPACE, path=[MetadataKey.PathSegment(key=METADATA_TIER)])
    return action(
        metadata=action.MetaData(
            descriptor_key=TIER_ENTRY, metadata_key=key, source=action.MetaData.DYNAMIC, default_value=NO_TIER
        )
    )
