"""CORS, off unless a route has it: answers preflights, and says who may read the answers of others."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors, CorsPolicy
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import false, packed, true


class CorsFilter:
    """Sees every answer of the route, those of the filters behind it too: a page may read why it was refused."""

    name = names.CORS_FILTER
    is_optional = True

    def on_connection_manager(self) -> Cors:
        """What it does is a route's."""
        return Cors()

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's origins."""
        cors = context.route.cors
        return None if cors is None else FilterConfig(config=packed(_policy(cors)))

    def on_own_route(self) -> None:
        """Envoy's own answers are for no page."""


def _policy(cors: model.Cors) -> CorsPolicy:
    policy = CorsPolicy(
        allow_origin_string_match=map(_origin, cors.origins),
        allow_methods=",".join(cors.methods),
        allow_headers=",".join(cors.headers),
        expose_headers=",".join(cors.expose),
        max_age=str(round(cors.max_age)),
        # Else a preflight from elsewhere would be asked for a token that no preflight has.
        forward_not_matching_preflights=false(),
    )
    if cors.credentials:
        policy.allow_credentials.CopyFrom(true())
    return policy


def _origin(origin: model.OriginMatch) -> StringMatcher:
    if origin.kind == "regex":
        return StringMatcher(safe_regex=RegexMatcher(regex=origin.value))
    return StringMatcher(exact=origin.value)
