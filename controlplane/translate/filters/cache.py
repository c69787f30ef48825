"""Kept answers: asks the response cache on routes with ``cache``, by way of Envoy's external processing."""

from __future__ import annotations

import hashlib

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import (
    ExternalProcessor,
    ExtProcOverrides,
    ExtProcPerRoute,
    MetadataOptions,
)
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode

from controlplane import model
from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration, packed
from servicekit.contracts.auth_policy import METADATA_NAMESPACE
from servicekit.contracts.cache_rule import MOST_PATIENCE, RULE_METADATA, CacheRule
from servicekit.contracts.data_plane import RESPONSE_CACHE_CLUSTER

_TIMEOUT = 5.0
"""Seconds for an answer, also when a thousand requests come at once; one that waits for another one says so first."""
_MOST_TIMEOUT = MOST_PATIENCE + 10
_PATIENCE_WITHOUT_TIMEOUT = MOST_PATIENCE


class CacheFilter:
    """Off unless a route asks for it."""

    name = names.CACHE_FILTER
    is_optional = True

    def on_connection_manager(self) -> ExternalProcessor:
        """Lets pass when the process is away: a cache is no reason to refuse anything."""
        return ExternalProcessor(
            grpc_service=GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=RESPONSE_CACHE_CLUSTER)),
            failure_mode_allow=True,
            message_timeout=duration(_TIMEOUT),
            max_message_timeout=duration(_MOST_TIMEOUT),
            processing_mode=_nothing(),
            # Bodies only of answers that are to be kept.
            allow_mode_override=True,
            route_cache_action=ExternalProcessor.RETAIN,
            metadata_options=MetadataOptions(
                forwarding_namespaces=MetadataOptions.MetadataNamespaces(untyped=[METADATA_NAMESPACE])
            ),
            stat_prefix="cache",
        )

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's rule."""
        if context.route.cache is None:
            return None
        rule = _rule(context, context.route.cache)
        overrides = ExtProcOverrides(
            processing_mode=_headers(),
            grpc_initial_metadata=[HeaderValue(key=RULE_METADATA, value=rule.encode().decode())],
        )
        return FilterConfig(config=packed(ExtProcPerRoute(overrides=overrides)))

    def on_own_route(self) -> None:
        """Envoy's own answers cost nothing."""


def _rule(context: RouteContext, cache: model.Cache) -> CacheRule:
    route = context.route
    return CacheRule(
        route=route.name,
        generation=_generation(context),
        ttl=cache.ttl,
        max_ttl=cache.max_ttl,
        max_body=cache.max_body,
        callers=cache.callers,
        identity_headers=context.identity_headers if cache.callers == "each" else (),
        stale_if_error=cache.stale_if_error,
        patience=min(route.timeout or _PATIENCE_WITHOUT_TIMEOUT, MOST_PATIENCE),
    )


def _generation(context: RouteContext) -> str:
    """Of everything that decides what an answer looks like: another upstream, rewrite or header is another answer."""
    decides = repr((context.route, context.identity_headers, sorted(context.response_headers.items())))
    return hashlib.sha256(decides.encode()).hexdigest()[:12]


def _nothing() -> ProcessingMode:
    skip = ProcessingMode.SKIP
    return ProcessingMode(
        request_header_mode=skip, response_header_mode=skip, request_trailer_mode=skip, response_trailer_mode=skip
    )


def _headers() -> ProcessingMode:
    mode = _nothing()
    mode.request_header_mode = mode.response_header_mode = ProcessingMode.SEND
    return mode
