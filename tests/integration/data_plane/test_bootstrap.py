"""A real Envoy with our bootstrap: what it shows of itself, and to whom."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator

import httpx
import pytest

from gateway.bootstrap import render_bootstrap
from tests.harness import gateways as g
from tests.harness.envoy import Envoy, envoy_settings, envoy_with, running_envoy, short_folder
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port
from tests.harness.processes import wait_for


@pytest.fixture(scope="module")
def envoy() -> Iterator[Envoy]:
    """One Envoy for all tests here."""
    with envoy_with(edge_snapshot(g.gateway(listeners=(g.listener(free_port()),)))) as running:
        yield running


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/startup", "/metrics"])
def test_probes_and_prometheus_get_answers(envoy: Envoy, path: str) -> None:
    """On the health listener."""
    assert httpx.get(envoy.health_url + path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health/live/x",
        "/metrics/x",
        "/config_dump",
        "/stats",
        "/health",
        "/health/ready/../config_dump",
        "/metrics/../quitquitquit",
        "/ready",
    ],
)
def test_nothing_else_of_the_admin_interface_is_shown(envoy: Envoy, path: str) -> None:
    """Not by another spelling either."""
    request = httpx.Request("GET", envoy.health_url)
    request.url = request.url.copy_with(raw_path=path.encode())
    with httpx.Client() as client:
        assert client.send(request).status_code == 404


@pytest.mark.parametrize("path", ["/quitquitquit", "/health/ready", "/metrics"])
def test_nothing_can_be_done_there(envoy: Envoy, path: str) -> None:
    """Reading only."""
    assert httpx.post(envoy.health_url + path).status_code == 404
    assert httpx.get(f"{envoy.health_url}/health/live").status_code == 200


def test_the_admin_socket_is_its_owners(envoy: Envoy) -> None:
    """No other user of the machine can connect."""
    assert stat.S_IMODE((envoy.folder / "admin.sock").stat().st_mode) == 0o600


def test_it_is_not_ready_before_it_is_configured() -> None:
    """Without a control plane it waits, and says so on its admin interface, rather than be ready and listen nowhere."""
    with short_folder() as folder:
        settings = envoy_settings(folder)
        with running_envoy(render_bootstrap(settings), settings, folder=folder, wait=False) as envoy:

            def tried() -> bool | None:
                if not (folder / "admin.sock").exists():
                    return None
                found = envoy.admin(
                    "/stats?filter=control_plane.connected_state|cluster.gateway.xds.upstream_cx_connect_fail"
                )
                return True if "upstream_cx_connect_fail: 0" not in found.text else None

            wait_for(tried, seconds=10, what="Envoy tried to reach the control plane")
            assert envoy.admin("/ready").status_code == 503


def test_its_own_log_is_json_like_ours() -> None:
    """One object a line, with the fields of every process."""
    with envoy_with(edge_snapshot(g.gateway(listeners=(g.listener(free_port()),)))) as envoy:
        # Lines before the configuration is read have Envoy's own form.
        lines = [json.loads(line) for line in envoy.log().splitlines() if line.startswith("{")]
    assert all({"timestamp", "level", "service", "message"} <= line.keys() for line in lines)
