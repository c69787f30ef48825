"""What CORS needs of the route table: places for preflights, which lack a route's method and headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, Route, RouteAction

from controlplane import model
from controlplane.translate import filter_order
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.route_match import method_matcher, route_match

UPSTREAMS_OWN: Final = (
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-expose-headers",
)
"""What an upstream says about CORS; on a route that has it, the document decides and not the upstream."""

_METHOD: Final = "OPTIONS"
_ASKED_METHOD: Final = "access-control-request-method"


def preflights(context: RouteContext, action: RouteAction) -> Iterator[Route]:
    """What stands before a route so that its preflights find its CORS policy; nothing if they find the route itself.

    Args:
        context: the route.
        action: the route's own. Nothing gets there, since the CORS filter answers every preflight, but it does so
            only where requests would go to an upstream.
    """
    match = context.route.match
    narrow = match.headers or match.cookies or (match.methods and _METHOD not in match.methods)
    if context.route.cors is None or not narrow:
        return
    asked = replace(match, methods=(_METHOD,), headers=(), cookies=())
    built = route_match(asked)
    built.headers.append(HeaderMatcher(name="origin", present_match=True))
    built.headers.append(_asks_for(match.methods))
    yield Route(
        name=context.route.name,
        match=built,
        route=action,
        typed_per_filter_config=filter_order.on_preflight(context),
    )


def vary(cors: model.Cors | None) -> list[HeaderValueOption]:
    """Caches must not give one origin the answer for another."""
    if cors is None:
        return []
    header = HeaderValue(key="vary", value="origin")
    return [HeaderValueOption(header=header, append_action=HeaderValueOption.APPEND_IF_EXISTS_OR_ADD)]


def _asks_for(methods: tuple[str, ...]) -> HeaderMatcher:
    if not methods:
        return HeaderMatcher(name=_ASKED_METHOD, present_match=True)
    matcher = method_matcher(methods)
    matcher.name = _ASKED_METHOD
    return matcher
