"""What an HTTP filter module offers, and what it is told of a route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf.message import Message

from controlplane.model import RateLimit, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteContext:
    """A route with everything that its names stand for."""

    route: Route
    auth_rule: str | None
    """Id of the rule that ext_authz applies; ``None`` for a route that is open to all."""
    limits: tuple[RateLimit, ...]
    clusters: Mapping[str, str] = field(default_factory=dict)
    """The cluster of each upstream."""
    identity_headers: tuple[str, ...] = ()
    """Headers by which upstreams of the gateway are told who is calling."""
    response_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that every response of the gateway has."""


class HttpFilter(Protocol):
    """One filter of the connection manager's chain."""

    @property
    def name(self) -> str:
        """Its name in the chain, by which routes configure it."""

    @property
    def is_optional(self) -> bool:
        """Whether it does nothing, and costs nothing, on routes that have no configuration of it."""

    def on_connection_manager(self) -> Message:
        """Its configuration. The same for every document, so that a change of policies is a change of routes
        and never drains a listener."""

    def on_route(self, context: RouteContext) -> Message | None:
        """What it does differently on a route of the document; ``None`` is nothing. A ``FilterConfig`` lets an
        optional one do something."""

    def on_own_route(self) -> Message | None:
        """What it does differently where Envoy answers by itself (health, no such route); ``None`` is nothing."""
