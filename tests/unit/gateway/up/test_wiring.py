"""Which processes a run consists of, and what they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.roles import ROLES
from gateway.supervisor.plan import Component, start_waves
from gateway.up.settings import UpSettings
from gateway.up.wiring import MANAGED, Run, claims, components
from servicekit.settings import load_settings, variable_name

SECRETS = {"GATEWAY_ADMIN_TOKEN": "s3cret", "GATEWAY_REDIS_URL": "redis://:pw@elsewhere"}


def plan(tmp_path: Path, *, redis_url: str | None = None, **changes: Any) -> dict[str, Component]:
    """The components of a run, by name."""
    values: dict[str, Any] = {
        "settings": load_settings(UpSettings, redis_url=redis_url),
        "document": None,
        "demo": False,
        "folder": tmp_path,
        "admin_token": "token",
        "api_key_secret": "pepper",
        "valkey": None if redis_url else Path("/bin/valkey-server"),
        "drain_seconds": 2.0,
        "environment": {"PATH": "/bin", **SECRETS},
    }
    return {component.name: component for component in components(Run(**(values | changes)))}


def test_parts_start_in_order_of_readiness(tmp_path: Path) -> None:
    """Store, control plane and bootstrap; then the services; Envoy last."""
    waves = [{one.name for one in wave} for wave in start_waves(list(plan(tmp_path, demo=True).values()))]
    assert waves == [
        {"valkey", "controlplane", "bootstrap"},
        {"ext-authz", "ratelimit", "response-cache", "telemetry", "demo-backend", "demo-identity-provider"},
        {"envoy"},
    ]


def test_with_a_redis_there_is_no_valkey(tmp_path: Path) -> None:
    """And only they are told of it that count in it, or make and obey revocations and purges."""
    parts = plan(tmp_path, redis_url="redis://:pw@store:6379/1")
    assert "valkey" not in parts
    told = {name for name, part in parts.items() if "GATEWAY_REDIS_URL" in part.environment}
    assert told == {"controlplane", "ext-authz", "ratelimit", "response-cache"}
    assert parts["ratelimit"].environment["GATEWAY_REDIS_URL"] == "redis://:pw@store:6379/1"


def test_secrets_go_only_to_those_who_need_them(tmp_path: Path) -> None:
    """Neither Envoy nor Valkey nor a demo part inherits the admin token or the store's password."""
    for name, part in plan(tmp_path, demo=True).items():
        assert ("GATEWAY_ADMIN_TOKEN" in part.environment) == (name == "controlplane")
        assert ("GATEWAY_API_KEY_SECRET" in part.environment) == (name in ("controlplane", "ext-authz"))
        assert "s3cret" not in str(part.environment)
        assert "redis://:pw@elsewhere" not in str(part.environment)
        assert "token" not in " ".join(part.arguments)


def test_secrets_that_a_document_may_name_go_to_who_resolves_them(tmp_path: Path) -> None:
    """To ext_authz alone: neither the control plane nor Envoy ever has them."""
    opened = {"GATEWAY_SECRET_SIGNING": "hunter2"}
    parts = plan(tmp_path, demo=True, environment=opened)
    assert {name for name, part in parts.items() if "hunter2" in part.environment.values()} == {"ext-authz"}


def test_links_between_parts_are_sockets_in_the_private_folder(tmp_path: Path) -> None:
    """Both ends of each link name the same one."""
    parts = plan(tmp_path)
    for bind, at, link, others in (
        ("GATEWAY_XDS_BIND", "controlplane", "GATEWAY_XDS_ADDRESS", ("ext-authz", "ratelimit", "envoy", "bootstrap")),
        ("GATEWAY_EXT_AUTHZ_BIND", "ext-authz", "GATEWAY_EXT_AUTHZ_ADDRESS", ("envoy", "bootstrap")),
        ("GATEWAY_RATELIMIT_BIND", "ratelimit", "GATEWAY_RATELIMIT_ADDRESS", ("envoy", "bootstrap")),
    ):
        address = parts[at].environment[bind]
        assert address.startswith(f"unix:{tmp_path}/")
        assert {parts[other].environment[link] for other in others} == {address}


@pytest.mark.parametrize("managed", MANAGED)
def test_every_link_that_a_run_decides_is_given_to_somebody(tmp_path: Path, managed: str) -> None:
    """So what is said to be ignored is really overridden."""
    assert any(managed in part.environment for part in plan(tmp_path).values())


def test_the_document_is_named_by_its_absolute_path(tmp_path: Path) -> None:
    """And its absence as such, whatever the environment says."""
    relative = plan(tmp_path, document=Path("gateway.yaml"))
    assert relative["controlplane"].environment["GATEWAY_DOCUMENT"] == str(Path.cwd() / "gateway.yaml")
    assert plan(tmp_path)["controlplane"].environment["GATEWAY_DOCUMENT"] == ""


def test_metrics_of_all_services_are_merged(tmp_path: Path) -> None:
    """The control plane is told where they are."""
    targets = json.loads(plan(tmp_path)["controlplane"].environment["GATEWAY_METRICS_TARGETS"])
    assert targets == [f"http://127.0.0.1:{port}/metrics" for port in (18013, 18011, 18012, 18014)]
    assert json.loads(plan(tmp_path)["controlplane"].environment["GATEWAY_AUTH_TARGETS"]) == ["http://127.0.0.1:18011"]


def test_every_port_is_checked_before_anything_starts() -> None:
    """Each setting of a run that is an address is a claim, and the demo's only with the demo."""
    settings = load_settings(UpSettings)
    binds = {variable_name(name) for name in UpSettings.model_fields if name.endswith("_bind")}
    assert {claim.change for claim in claims(settings, demo=True)} == binds
    assert {claim.change for claim in claims(settings, demo=False)} == {b for b in binds if "DEMO" not in b}


def test_defaults_are_those_of_the_processes_themselves() -> None:
    """A default that is written twice stays the same twice."""
    own = UpSettings.model_fields
    for role in ROLES:
        for name, field in role.load_settings_class().model_fields.items():
            if name in own and name != "redis_url":
                assert field.get_default() == own[name].get_default(), f"{name} of {role.name}"
