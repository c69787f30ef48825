"""Node groups with the real control plane, real Envoys and mutual TLS between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from gateway.bootstrap import build_bootstrap
from servicekit.address import Address
from tests.harness.certificates import Authority
from tests.harness.echo import running_echo
from tests.harness.envoy import Envoy, envoy_settings, running_envoy, short_folder
from tests.harness.fleet import Part
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

SECONDS = 10.0
DOCUMENT = """\
listeners:
  - {{name: http, port: {http}}}
  - {{name: outbound, port: {outbound}}}
  - {{name: lab, port: {lab}}}
upstreams:
  - {{name: shop, endpoints: ["http://127.0.0.1:{backend}"]}}
  - {{name: ledger, endpoints: ["http://127.0.0.1:{backend}"]}}
authentication:
  partners: {{api_key: {{keys: {{acme: "sha256:{digest}"}}}}}}
routes:
  - {{match: {{path_prefix: /shop}}, upstream: shop, labels: {{audience: public}}}}
  - {{match: {{path_prefix: /ledger}}, upstream: ledger, labels: {{audience: internal}}}}
  - {{match: {{path_prefix: /partners}}, upstream: shop, authenticate: [partners], labels: {{audience: public}}}}
node_groups:
  - {{name: lab, nodes: {{ids: ["{in_lab}"]}}, listeners: [lab]}}
  - name: edge
    nodes: {{clusters: [edge], identities: ["edge.*.example"]}}
    listeners: [http]
    routes: {{labels: {{audience: public}}}}
  - name: sidecar
    nodes: {{metadata: {{role: sidecar}}, identities: ["side.*.example"]}}
    listeners: [outbound]
    routes: {{labels: {{audience: internal}}}}
"""


@dataclass
class Plane:
    """A control plane that asks for certificates, and where everything is."""

    folder: Path
    backend: int
    authority: Authority
    document: Path
    xds: Address = field(default_factory=lambda: Address(host="127.0.0.1", port=free_port()))
    admin: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in ("http", "outbound", "lab")})

    def write(self, *, in_lab: str) -> None:
        """Save the document; ``in_lab`` is the id of the node in the group ``lab``."""
        new = self.document.with_suffix(".new")
        new.write_text(DOCUMENT.format(**self.ports, backend=self.backend, in_lab=in_lab, digest="ab" * 32))
        new.replace(self.document)

    def part(self, command: str, tls_dir: Path, **told: object) -> Part:
        """One of our own processes, that proves what is in ``tls_dir``."""
        settings = {f"GATEWAY_{key.upper()}": str(value) for key, value in told.items()}
        health = told.get("ext_authz_http_bind", self.admin)
        return Part(
            command,
            folder=self.folder,
            told={"GATEWAY_TLS_DIR": str(tls_dir), "GATEWAY_DRAIN_SECONDS": "0.2", **settings},
            ready=f"http://{health}/health/ready",
        )

    @contextmanager
    def envoy(self, name: str, *, tls_dir: Path, wait: bool = True, **settings: object) -> Iterator[Envoy]:
        """One Envoy that proves what is in ``tls_dir``."""
        folder = self.folder / name
        folder.mkdir()
        configured = envoy_settings(folder, node_id=name, xds_address=self.xds, tls_dir=tls_dir, **settings)
        with running_envoy(bytes(build_bootstrap(configured)), configured, folder=folder, wait=wait) as envoy:
            yield envoy

    def status(self, listener: str, path: str) -> int:
        """What a client is answered there; 0 when nobody listens."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[listener]}{path}", timeout=5).status_code
        except httpx.TransportError:
            return 0

    def turned_away(self) -> float:
        """Streams of nodes that no group takes."""
        series = 'gateway_xds_streams_turned_away_total{reason="no group"}'
        lines = httpx.get(f"http://{self.admin}/metrics", timeout=5).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """A control plane with nobody in the lab."""
    with short_folder() as folder, running_echo() as echo:
        (folder / "document").mkdir()
        found = Plane(folder, echo.port, Authority(tmp_path), folder / "document" / "gateway.yaml")
        found.write(in_lab="nobody")
        control_plane = found.part(
            "controlplane",
            found.authority.member("control-plane", "127.0.0.1"),
            document=found.document,
            xds_bind=found.xds,
            admin_bind=found.admin,
        )
        control_plane.start()
        try:
            control_plane.until_ready()
            yield found
        finally:
            control_plane.stop()


def names(envoy: Envoy) -> dict[str, set[str]]:
    """Of everything that the control plane gave it."""
    dump = envoy.admin("/config_dump").json()["configs"]
    by_type = {config["@type"].rpartition(".")[2]: config for config in dump}
    return {
        "listeners": {
            one["name"]
            for one in by_type["ListenersConfigDump"].get("dynamic_listeners", [])
            if "active_state" in one  # and not what is on its way out
        },
        "clusters": {
            one["cluster"]["name"] for one in by_type["ClustersConfigDump"].get("dynamic_active_clusters", [])
        },
    }


@pytest.mark.timeout(90)
def test_each_envoy_gets_its_group_and_moves_with_it(plane: Plane) -> None:
    """Its own listeners, routes and upstreams; another document moves a running Envoy, and leaves the other alone."""
    edge_files, side_files = (
        plane.authority.member("edge", "edge.eu.example"),
        plane.authority.member("side", "side.eu.example"),
    )
    with (
        plane.envoy("edge-1", tls_dir=edge_files) as edge,
        plane.envoy("side-1", tls_dir=side_files, node_group="mesh", node_metadata={"role": "sidecar"}) as side,
    ):
        assert names(edge) == {"listeners": {"http"}, "clusters": {"shop"}}
        assert names(side) == {"listeners": {"outbound"}, "clusters": {"ledger"}}
        assert [plane.status("http", path) for path in ("/shop", "/ledger")] == [200, 404]
        assert [plane.status("outbound", path) for path in ("/shop", "/ledger")] == [404, 200]
        updates = side.counter("envoy_listener_manager_lds_update_success")

        plane.write(in_lab="edge-1")
        everything = {"listeners": {"lab"}, "clusters": {"shop", "ledger"}}
        wait_for(lambda: names(edge) == everything or None, seconds=SECONDS, what="edge-1 is in the lab")
        wait_for(lambda: plane.status("http", "/shop") == 0 or None, seconds=SECONDS, what="nobody is at the edge")
        assert [plane.status("lab", path) for path in ("/shop", "/ledger")] == [200, 200]
        assert edge.process.poll() is None
        assert names(side) == {"listeners": {"outbound"}, "clusters": {"ledger"}}
        assert side.counter("envoy_listener_manager_lds_update_success") == updates

        plane.write(in_lab="nobody")
        wait_for(lambda: plane.status("http", "/shop") == 200 or None, seconds=SECONDS, what="edge-1 is back")
        assert plane.turned_away() == 0


@pytest.mark.timeout(90)
def test_a_node_that_lies_gets_nothing(plane: Plane) -> None:
    """It says everything that an edge says, and its certificate is another's; written down once, however often."""
    stranger = plane.authority.member("stranger", "other.eu.example")
    with plane.envoy("edge-1", tls_dir=stranger, wait=False, node_group="edge") as liar:
        wait_for(lambda: plane.turned_away() >= 2 or None, seconds=SECONDS, what="it came back and was refused again")
        assert liar.admin("/ready").status_code == 503
        assert names(liar) == {"listeners": set(), "clusters": set()}
        assert plane.status("http", "/shop") == 0
    lines = [json.loads(line) for line in (plane.folder / "controlplane.log").read_text().splitlines()]
    refused = [line for line in lines if line["message"] == "no node group takes this node"]
    assert [(line["node"], line["identities"]) for line in refused] == [("edge-1", ["other.eu.example"])]


def test_a_service_gets_its_policy(plane: Plane) -> None:
    """ext_authz is of no group of the document, and needs the rules of them all."""
    bind = f"127.0.0.1:{free_port()}"
    service = plane.part(
        "ext-authz",
        plane.authority.member("ext-authz", "127.0.0.1"),
        node_id="ext-authz",
        xds_address=plane.xds,
        ext_authz_bind=f"unix:{plane.folder}/ext_authz.sock",
        ext_authz_http_bind=bind,
    )
    service.start()
    try:
        service.until_ready()
    finally:
        service.stop()
