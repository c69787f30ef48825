"""Whose pages may let a browser change something, off unless a route asks."""

from __future__ import annotations

import re

from envoy.config.core.v3.base_pb2 import RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.csrf.v3.csrf_pb2 import CsrfPolicy
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.v3.percent_pb2 import FractionalPercent

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import packed

_LABELS = r"([a-z0-9_-]+\.)+"
_PORT = r"(:[0-9]+)?"


class CsrfFilter:
    """Answers 403 to requests of other pages."""

    name = names.CSRF_FILTER
    is_optional = True

    def on_connection_manager(self) -> CsrfPolicy:
        """What it does is a route's."""
        return CsrfPolicy(filter_enabled=_share(0))

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """The route's hosts."""
        if context.route.csrf is None:
            return None
        policy = CsrfPolicy(filter_enabled=_share(100), additional_origins=map(_pages, context.route.csrf))
        return FilterConfig(config=packed(policy))

    def on_own_route(self) -> None:
        """Envoy's own answers change nothing."""


def _pages(host: str) -> StringMatcher:
    """Envoy compares host and port, and no scheme."""
    name = _LABELS + re.escape(host[2:]) if host.startswith("*.") else re.escape(host)
    return StringMatcher(safe_regex=RegexMatcher(regex=name + _PORT))


def _share(percent: int) -> RuntimeFractionalPercent:
    return RuntimeFractionalPercent(
        default_value=FractionalPercent(numerator=percent, denominator=FractionalPercent.HUNDRED)
    )
