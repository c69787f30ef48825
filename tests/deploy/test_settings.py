"""What the Compose file and the chart tell a process is what it can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.settings import ControlPlaneSettings
from ext_authz.settings import ExtAuthzSettings
from gateway.demo.settings import DemoBackendSettings, DemoIdpSettings
from gateway.envoy_settings import EnvoySettings
from ratelimit_service.settings import RateLimitSettings
from response_cache.settings import ResponseCacheSettings
from servicekit.settings import ProcessSettings, load_settings, variable_name
from telemetry.settings import TelemetrySettings
from tests.harness.chart import render

ROOT = Path(__file__).parents[2]
ROLES: dict[str, type[ProcessSettings]] = {
    "controlplane": ControlPlaneSettings,
    "envoy": EnvoySettings,
    "ext-authz": ExtAuthzSettings,
    "ratelimit": RateLimitSettings,
    "response-cache": ResponseCacheSettings,
    "telemetry": TelemetrySettings,
    "demo backend": DemoBackendSettings,
    "demo identity-provider": DemoIdpSettings,
}


def compose() -> Iterator[tuple[str, Mapping[str, str]]]:
    """Role and environment of each Compose service, with the defaults of its variables."""
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in services.values():
        role = " ".join(service["command"]) if "command" in service else ""
        if role in ROLES:
            environment = service["environment"].items()
            yield role, {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in environment}


def chart() -> Iterator[tuple[str, Mapping[str, str]]]:
    """Role and environment of each container of the chart."""
    for values in ({}, {"document": "x", "bindAddress": "::"}):
        for manifest in render(values):
            if manifest["kind"] == "Deployment":
                for container in manifest["spec"]["template"]["spec"]["containers"]:
                    role = " ".join(container["args"])
                    if role in ROLES:
                        yield role, {e["name"]: e["value"] for e in container["env"] if "value" in e}


@pytest.mark.parametrize(
    ("role", "environment"),
    [
        *(pytest.param(*told, id=f"compose-{told[0]}") for told in compose()),
        *(pytest.param(*told, id=f"chart-{told[0]}") for told in chart()),
    ],
)
def test_each_process_understands_what_it_is_told(
    role: str, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every variable is a setting of that role, and its value is a possible one."""
    monkeypatch.chdir(tmp_path)
    known = {variable_name(field) for field in ROLES[role].model_fields}
    assert {name for name in environment if name.startswith("GATEWAY_")} <= known
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    load_settings(ROLES[role])


def test_every_role_is_run_by_both() -> None:
    """The chart and the Compose file leave out none of the roles."""
    roles = {role for role in ROLES if not role.startswith("demo")}
    assert {role for role, _ in compose()} == ROLES.keys()
    assert {role for role, _ in chart()} == roles
