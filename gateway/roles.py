"""The processes that a gateway consists of: where each one's settings and entry point are. Imports none of them."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servicekit.settings import ProcessSettings


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of process."""

    name: str
    """The command that runs it."""
    settings: str
    """``module:class`` of its settings."""

    def load_settings_class(self) -> type[ProcessSettings]:
        """Import the class of its settings."""
        found = pkgutil.resolve_name(self.settings)
        if not isinstance(found, type):
            raise TypeError(f"{self.settings} is not a class")
        return found


ROLES = (
    Role("up", "gateway.up.settings:UpSettings"),
    Role("controlplane", "controlplane.settings:ControlPlaneSettings"),
    Role("ext-authz", "ext_authz.settings:ExtAuthzSettings"),
    Role("ratelimit", "ratelimit_service.settings:RateLimitSettings"),
    Role("response-cache", "response_cache.settings:ResponseCacheSettings"),
    Role("telemetry", "telemetry.settings:TelemetrySettings"),
    Role("envoy", "gateway.envoy_process:EnvoyProcessSettings"),
    Role("demo-backend", "gateway.demo.settings:DemoBackendSettings"),
    Role("demo-identity-provider", "gateway.demo.settings:DemoIdpSettings"),
)
