"""Quotas: limits of which each Envoy is leased a share, and counts by itself."""

from __future__ import annotations

from typing import Final

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation as Mutation
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation,
    HeaderMutationPerRoute,
    Mutations,
)
from envoy.extensions.filters.http.rate_limit_quota.v3.rate_limit_quota_pb2 import (
    RateLimitQuotaBucketSettings,
    RateLimitQuotaFilterConfig,
)
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from envoy.type.v3.ratelimit_strategy_pb2 import RateLimitStrategy
from xds.core.v3.extension_pb2 import TypedExtensionConfig as MatcherExtension
from xds.type.matcher.v3.matcher_pb2 import Matcher

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration, packed
from servicekit.contracts.data_plane import QUOTA_HEADER, RATELIMIT_CLUSTER
from servicekit.contracts.limit_policy import DOMAIN, QUOTA_ENTRY

_REPORTS_SECONDS: Final = 5.0
"""What Envoy does whatever is said here."""


class QuotaMarkFilter:
    """Says in a header which quota a request counts for: the filter that counts knows nothing of routes."""

    name = names.QUOTA_MARK_FILTER
    is_optional = True

    def on_connection_manager(self) -> HeaderMutation:
        """No route uses this."""
        return HeaderMutation()

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's quota."""
        if context.route.quota is None:
            return None
        mark = HeaderValueOption(
            header=HeaderValue(key=QUOTA_HEADER, value=context.route.quota),
            append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        mutations = Mutations(request_mutations=[Mutation(append=mark)])
        return FilterConfig(config=packed(HeaderMutationPerRoute(mutations=mutations)))

    def on_own_route(self) -> None:
        """Envoy's own answers count for nothing."""


class QuotaFilter:
    """Counts for the quota that the header names, and answers 429 without a call."""

    name = names.QUOTA_FILTER
    is_optional = False

    def on_connection_manager(self) -> RateLimitQuotaFilterConfig:
        """A bucket for each value; without a share yet, all pass."""
        allow = RateLimitStrategy(blanket_rule=RateLimitStrategy.ALLOW_ALL)
        header = TypedExtensionConfig(
            name="header", typed_config=packed(HttpRequestHeaderMatchInput(header_name=QUOTA_HEADER))
        )
        builder = RateLimitQuotaBucketSettings.BucketIdBuilder
        settings = RateLimitQuotaBucketSettings(
            bucket_id_builder=builder(bucket_id_builder={QUOTA_ENTRY: builder.ValueBuilder(custom_value=header)}),
            reporting_interval=duration(_REPORTS_SECONDS),
            no_assignment_behavior=RateLimitQuotaBucketSettings.NoAssignmentBehavior(fallback_rate_limit=allow),
            deny_response_settings=RateLimitQuotaBucketSettings.DenyResponseSettings(
                http_status=HttpStatus(code=StatusCode.TooManyRequests),
                response_headers_to_add=[HeaderValueOption(header=HeaderValue(key="retry-after", value="1"))],
            ),
        )
        action = Matcher.OnMatch(action=MatcherExtension(name="quota", typed_config=packed(settings)))
        return RateLimitQuotaFilterConfig(
            rlqs_server=GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=RATELIMIT_CLUSTER)),
            domain=DOMAIN,
            bucket_matchers=Matcher(on_no_match=action),
        )

    def on_route(self, context: RouteContext) -> None:
        """The header says it."""

    def on_own_route(self) -> None:
        """There is no header."""
