"""The whole document, as a user writes it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr

from controlplane.config.authentication import Provider
from controlplane.config.base import Section
from controlplane.config.defaults import Defaults
from controlplane.config.listeners import Listener
from controlplane.config.node_groups import NodeGroup
from controlplane.config.problems import Places
from controlplane.config.rate_limits import RateLimit
from controlplane.config.rollout import Rollout
from controlplane.config.routes import Route
from controlplane.config.security_headers import SecurityHeaders
from controlplane.config.texts import Name
from controlplane.config.upstreams import Upstream


class GatewayConfig(Section):
    """What the gateway does."""

    listeners: list[Listener] = Field(min_length=1, max_length=100)
    """Where clients connect."""
    upstreams: list[Upstream] = Field(min_length=1)
    """Where requests go."""
    authentication: dict[Name, Provider] = Field(default={})
    """Who vouches for callers, by name."""
    rate_limits: dict[Name, RateLimit] = Field(default={})
    """How much a caller may do, by name."""
    defaults: Defaults = Defaults()
    """For routes that do not say otherwise."""
    security_headers: SecurityHeaders = SecurityHeaders()
    """What every response tells browsers to be careful about."""
    routes: list[Route] = Field(min_length=1)
    """Which request goes where, in the order in which they are tried."""
    node_groups: list[NodeGroup] = Field(default=[], max_length=100)
    """Which nodes get what, in the order in which they are tried; empty is one group `edge`, in which every node gets
    everything."""
    rollout: Rollout = Rollout()
    """How a change reaches the nodes."""

    _places: Places = PrivateAttr(default_factory=Places)

    @property
    def places(self) -> Places:
        """Where everything stands in the text; empty for a document that was not read from one."""
        return self._places

    @classmethod
    def placed(cls, data: Any, places: Places) -> GatewayConfig:
        """Validate plain data that was read from a text.

        Raises:
            pydantic.ValidationError: it is not a document.
        """
        document = cls.model_validate(data)
        document._places = places
        return document
