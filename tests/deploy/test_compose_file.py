"""The Compose file: what it publishes, and how its containers are confined."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def networks(service: str) -> set[str]:
    """The networks that a service is on."""
    return set(SERVICES[service].get("networks", []))


def test_only_the_gateway_and_the_admin_api_are_published_and_only_on_loopback() -> None:
    """Nothing else of the installation can be reached from outside its networks."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "envoy": ["127.0.0.1:${GATEWAY_HTTP_PORT:-8000}:8000"],
        "controlplane": ["127.0.0.1:${GATEWAY_ADMIN_PORT:-8001}:8001"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    """Read-only, without capabilities and without a way to new ones."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"certs"}))
def test_every_part_comes_back_after_a_crash(name: str) -> None:
    """Each lasting service restarts."""
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize(
    "name", ["controlplane", "envoy", "ext-authz", "ratelimit", "response-cache", "telemetry", "valkey"]
)
def test_every_part_says_whether_it_is_healthy(name: str) -> None:
    """Each part of the gateway has a health check with a deadline."""
    assert {"test", "interval", "timeout"} <= SERVICES[name]["healthcheck"].keys()


def test_every_address_that_a_part_is_told_is_on_a_network_with_it() -> None:
    """Each host in the environment of a service is a service that shares a network with it."""
    told = [
        (name, host)
        for name, service in SERVICES.items()
        for value in service.get("environment", {}).values()
        for host in re.findall(r"(?:^|//|-)([a-z-]+):\d+", str(value))
    ]
    assert len(told) >= 8
    for name, host in told:
        assert networks(name) & networks(host), (name, host)


def test_the_private_key_is_mounted_by_the_grpc_peers_only() -> None:
    """Valkey, telemetry and the demo parts never see the certificate; only the one that makes it may write it."""
    mounts = {n: [v for v in s.get("volumes", []) if v.startswith("tls:")] for n, s in SERVICES.items()}
    assert {name for name, mounted in mounts.items() if mounted} == {
        "certs",
        "controlplane",
        "envoy",
        "ext-authz",
        "ratelimit",
        "response-cache",
    }
    assert [name for name, mounted in mounts.items() if mounted and not mounted[0].endswith(":ro")] == ["certs"]


def test_the_link_between_the_parts_has_no_way_out() -> None:
    """The network that carries xDS and decisions is internal."""
    assert COMPOSE["networks"]["control"] == {"internal": True}


def test_the_history_outlives_the_control_planes_container() -> None:
    """Its database is a file on a volume of its own."""
    service = SERVICES["controlplane"]
    url = service["environment"]["GATEWAY_STORE_URL"].removeprefix("${GATEWAY_STORE_URL:-").removesuffix("}")
    (volume,) = (one for one in service["volumes"] if one.startswith("controlplane-state:"))
    assert Path(url.removeprefix("sqlite:///")).parent == Path(volume.partition(":")[2])
    assert "controlplane-state" in COMPOSE["volumes"]
