"""Headers of every response: in route tables for what has a route, in local replies for what has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_pb2 import RouteConfiguration

REMOVED: Final = ("server", "x-powered-by")
"""What upstreams say of themselves, with versions: it only helps who looks for one that can be broken into."""


def complete(table: RouteConfiguration, headers: Mapping[str, str]) -> None:
    """Let every response that has a route have ``headers``. What the route itself says comes after and wins."""
    table.most_specific_header_mutations_wins = True
    table.response_headers_to_add.extend(_options(headers, HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD))
    table.response_headers_to_remove.extend(REMOVED)


def of_local_replies(headers: Mapping[str, str]) -> list[HeaderValueOption]:
    """The same for answers of Envoy's own, which may have come from a route that has said otherwise."""
    return _options(headers, HeaderValueOption.ADD_IF_ABSENT)


def _options(headers: Mapping[str, str], action: HeaderValueOption.HeaderAppendAction) -> list[HeaderValueOption]:
    return [
        HeaderValueOption(header=HeaderValue(key=name, value=value.replace("%", "%%")), append_action=action)
        for name, value in headers.items()
    ]
