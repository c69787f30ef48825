"""Limits that each Envoy counts by itself, off unless a route has some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.config.route.v3.route_components_pb2 import RateLimit as RouteRateLimit
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import LocalRateLimitDescriptor, RateLimitDescriptor
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from envoy.type.v3.percent_pb2 import FractionalPercent
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.wrappers_pb2 import BoolValue

from controlplane.model import RateLimit
from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration, packed, uint32

_STAT_PREFIX: Final = "local"
_LIMIT = "local_limit"
_ADDRESS = "masked_remote_address"
"""The key that Envoy gives the action of that name."""
_IPV4_BITS, _IPV6_BITS = 32, 64
"""One subscriber has at least the rest of an IPv6 address."""
_PLENTY = 2**32 - 1
_ADDRESSES: Final = 10_000
"""Of each limit that are remembered; the one that was seen longest ago makes room for a new one."""


class LocalRateLimitFilter:
    """Answers 429 without a call."""

    name = names.LOCAL_RATELIMIT_FILTER
    is_optional = True

    def on_connection_manager(self) -> LocalRateLimit:
        """No route uses this."""
        return LocalRateLimit(stat_prefix=_STAT_PREFIX)

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's own buckets."""
        limits = [limit for limit in context.limits if limit.enforce == "local"]
        return FilterConfig(config=packed(_buckets(limits))) if limits else None

    def on_own_route(self) -> None:
        """Envoy's own answers are not limited."""


def _buckets(limits: Sequence[RateLimit]) -> LocalRateLimit:
    # The longest that anybody waits for a token: one that is refused would wait this long or less.
    wait = max(math.ceil(limit.period / limit.requests) for limit in limits)
    return LocalRateLimit(
        stat_prefix=_STAT_PREFIX,
        status=HttpStatus(code=StatusCode.TooManyRequests),
        rate_limited_as_resource_exhausted=True,
        filter_enabled=_always(),
        filter_enforced=_always(),
        response_headers_to_add=[HeaderValueOption(header=HeaderValue(key="retry-after", value=str(wait)))],
        rate_limits=map(_actions, limits),
        # For requests that no descriptor fits, of which there are none: Envoy wants it, and must not take from it too.
        token_bucket=TokenBucket(max_tokens=_PLENTY, tokens_per_fill=uint32(_PLENTY), fill_interval=duration(1)),
        always_consume_default_token_bucket=BoolValue(value=False),
        descriptors=map(_bucket, limits),
        max_dynamic_descriptors=uint32(_ADDRESSES),
    )


def _actions(limit: RateLimit) -> RouteRateLimit:
    action = RouteRateLimit.Action
    name = action(generic_key=action.GenericKey(descriptor_key=_LIMIT, descriptor_value=limit.name))
    if not limit.by:
        return RouteRateLimit(actions=[name])
    address = action.MaskedRemoteAddress(v4_prefix_mask_len=uint32(_IPV4_BITS), v6_prefix_mask_len=uint32(_IPV6_BITS))
    return RouteRateLimit(actions=[name, action(masked_remote_address=address)])


def _bucket(limit: RateLimit) -> LocalRateLimitDescriptor:
    """An entry without a value stands for each value that comes."""
    entries = [RateLimitDescriptor.Entry(key=_LIMIT, value=limit.name)]
    if limit.by:
        entries.append(RateLimitDescriptor.Entry(key=_ADDRESS))
    bucket = TokenBucket(
        max_tokens=limit.burst, tokens_per_fill=uint32(limit.requests), fill_interval=duration(limit.period)
    )
    return LocalRateLimitDescriptor(entries=entries, token_bucket=bucket)


def _always() -> RuntimeFractionalPercent:
    return RuntimeFractionalPercent(
        default_value=FractionalPercent(numerator=100, denominator=FractionalPercent.HUNDRED)
    )
