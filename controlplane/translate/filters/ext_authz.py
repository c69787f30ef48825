"""Authentication: asks the ext_authz service on routes that name identity providers."""

from __future__ import annotations

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import CheckSettings, ExtAuthz, ExtAuthzPerRoute
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import duration
from servicekit.contracts.auth_policy import RULE_EXTENSION
from servicekit.contracts.data_plane import EXT_AUTHZ_CLUSTER

_TIMEOUT = 1.0


class ExtAuthzFilter:
    """On unless a route says otherwise: a route that is forgotten is refused by the service, not let through."""

    name = names.EXT_AUTHZ_FILTER
    is_optional = False

    def on_connection_manager(self) -> ExtAuthz:
        """Fails closed: without an answer in a second it is 503, which is neither 401 nor 403."""
        return ExtAuthz(
            stat_prefix="gateway",
            transport_api_version=ApiVersion.V3,
            grpc_service=GrpcService(
                envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=EXT_AUTHZ_CLUSTER), timeout=duration(_TIMEOUT)
            ),
            failure_mode_allow=False,
            status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
            # A claim may hold what no header may: better a 500 than a split header at the backend.
            validate_mutations=True,
            # What a token says must not choose the route that decided which token is needed.
            clear_route_cache=False,
        )

    def on_route(self, context: RouteContext) -> ExtAuthzPerRoute:
        """The rule to apply, or nothing to ask."""
        if context.auth_rule is None:
            return ExtAuthzPerRoute(disabled=True)
        return ExtAuthzPerRoute(check_settings=CheckSettings(context_extensions={RULE_EXTENSION: context.auth_rule}))

    def on_own_route(self) -> ExtAuthzPerRoute:
        """Envoy's own answers are open to all."""
        return ExtAuthzPerRoute(disabled=True)
