"""The chart's pods on a Docker engine, as a kubelet would start them; ``make test-docker`` runs it.

There is no cluster in it: what is shown is that the rendered containers start, find each other, trust each other's
certificates and pass their probes. Network policies, autoscaling and rolling updates are not.
"""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.harness.chart import Manifest, one, render
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

DOCKER = os.environ.get("DOCKER", "docker")
IMAGE = os.environ.get("GATEWAY_IMAGE", "api-gateway:latest")
USER = 65532
DOCUMENT = """
listeners:
  - {name: http, port: 8000}
upstreams:
  - {name: echo, endpoints: ["http://backend:8048"]}
authentication:
  nobody: {jwt: {issuer: "https://id.example.com", audiences: [x], jwks_uri: "https://id.example.com/keys"}}
rate_limits:
  few: {by: ip, requests: 5, per: 1h, burst: 5}
routes:
  - {match: {path_prefix: /open}, upstream: echo}
  - {match: {path_prefix: /closed}, upstream: echo, authenticate: [nobody]}
  - {match: {path_prefix: /few}, upstream: echo, rate_limits: [few]}
"""
COUNT_KEYS = r"""
exec 3<>/dev/tcp/127.0.0.1/6379
printf 'AUTH %s\r\nDBSIZE\r\n' "$VALKEY_PASSWORD" >&3
read -r _ <&3 && read -r count <&3 && echo "$count"
"""

pytestmark = pytest.mark.timeout(180)


def docker(*arguments: str) -> str:
    """Run a Docker command."""
    done = subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(slots=True)
class Node:
    """Runs pods as containers on a network of its own."""

    network: str
    folder: Path
    manifests: list[Manifest]
    port: int
    started: dict[str, str] = field(default_factory=dict)
    """Container name in the manifest to that of the engine."""

    def run_backend(self) -> None:
        """The backend that the document names."""
        self.started["backend"] = docker(
            "run", "-d", "--network", self.network, "--network-alias", "backend",
            "-e", "GATEWAY_DEMO_BACKEND_BIND=0.0.0.0:8048", IMAGE, "demo", "backend",
        )  # fmt: skip

    def run_pod(self, deployment: Manifest) -> None:
        """Start the containers of a pod; the second one shares the network of the first."""
        name = deployment["metadata"]["name"]
        pod = deployment["spec"]["template"]["spec"]
        network = ["--network", self.network, "--network-alias", name]
        if name == "demo-api-gateway":
            network += ["-p", f"127.0.0.1:{self.port}:8000"]
        for container in pod["containers"]:
            self.started[container["name"]] = docker(
                "run", "-d", *network, "--user", f"{pod['securityContext']['runAsUser']}:{USER}", "--read-only",
                "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true",
                "--memory", container["resources"]["limits"]["memory"].replace("Mi", "m"),
                *self.environment(name, container), *self.mounts(pod, container), *command(container),
            )  # fmt: skip
            network = ["--network", f"container:{self.started[container['name']]}"]

    def environment(self, pod: str, container: Manifest) -> Iterator[str]:
        """The variables of a container, with Secrets looked up."""
        for entry in container["env"]:
            value = entry.get("value", pod)
            if "secretKeyRef" in entry.get("valueFrom", {}):
                reference = entry["valueFrom"]["secretKeyRef"]
                value = one(self.manifests, "Secret", reference["name"])["stringData"][reference["key"]]
            yield from ("-e", f"{entry['name']}={value}")

    def mounts(self, pod: Manifest, container: Manifest) -> Iterator[str]:
        """Volumes: emptyDir in memory, Secrets and ConfigMaps as read-only folders with the pod's group."""
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "emptyDir" in volume:
                yield from ("--tmpfs", f"{mount['mountPath']}:uid={USER},gid={USER},mode=0770,size=64m")
            else:
                yield from ("-v", f"{self.project(volume)}:{mount['mountPath']}:ro")

    def project(self, volume: Manifest) -> Path:
        """Write the files of a Secret or ConfigMap."""
        folder = self.folder / str(volume["name"])
        if not folder.exists():
            folder.mkdir()
            if "secret" in volume:
                data = one(self.manifests, "Secret", volume["secret"]["secretName"])["data"]
                files = {name: base64.b64decode(value) for name, value in data.items()}
            else:
                data = one(self.manifests, "ConfigMap", volume["configMap"]["name"])["data"]
                files = {name: value.encode() for name, value in data.items()}
            for name, content in files.items():
                path = folder / name
                path.write_bytes(content)
                path.chmod(volume.get("secret", {}).get("defaultMode", 0o644))
                os.chown(path, 0, USER)  # what fsGroup does
        return folder

    def get(self, path: str) -> httpx.Response | None:
        """A request through the gateway; ``None`` when there is no answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except httpx.TransportError:
            return None


def command(container: Manifest) -> list[str]:
    """Image and arguments, with the entry point that the manifest asks for."""
    entry, *rest = container.get("command", [""])
    return [*(["--entrypoint", entry] if entry else []), IMAGE, *rest, *container["args"]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Every pod of the chart, once, and a backend."""
    folder = tmp_path_factory.mktemp("volumes")
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    network = docker("network", "create", f"chart-{uuid.uuid4().hex[:8]}")
    manifests = render({"document": DOCUMENT})
    found = Node(network, folder, manifests, free_port())
    try:
        found.run_backend()
        for manifest in manifests:
            if manifest["kind"] == "Deployment":
                found.run_pod(manifest)
        yield found
    finally:
        for name, container in found.started.items():
            print(f"--- {name}\n{docker('logs', '--tail', '10', container)}")
        docker("rm", "-f", *reversed(found.started.values()))
        docker("network", "rm", network)


def test_every_probe_of_every_container_passes(node: Node) -> None:
    """What the kubelet would ask, inside each container, within the time that the startup probe has."""
    probed = 0
    for manifest in node.manifests:
        if manifest["kind"] == "Deployment":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                ports = {port["name"]: port["containerPort"] for port in container["ports"]}
                for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                    asked = partial(passes, node, container, question(container[kind], ports))
                    wait_for(asked, seconds=60, what=f"{container['name']} {kind}")
                    probed += 1
    assert probed == 18


def question(probe: Manifest, ports: dict[str, int]) -> str:
    """A probe as Python."""
    if "httpGet" in probe:
        url = f"http://127.0.0.1:{ports[probe['httpGet']['port']]}{probe['httpGet']['path']}"
        return f"from urllib.request import urlopen; urlopen({url!r}, timeout=2)"
    return f"import socket; socket.create_connection(('127.0.0.1', {ports[probe['tcpSocket']['port']]}), 2)"


def passes(node: Node, container: Manifest, check: str) -> bool | None:
    """Whether a probe succeeds now."""
    asked = [DOCKER, "exec", node.started[container["name"]], "python3", "-c", check]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0 or None


def status(node: Node, path: str) -> int:
    """The status of a GET; 0 when there is no answer."""
    response = node.get(path)
    return response.status_code if response is not None else 0


def test_requests_pass_through_every_part(node: Node) -> None:
    """Open: 200. Without a token: ext_authz's 401. Over the limit: the limiter's 429, counted in Valkey."""
    wait_for(lambda: status(node, "/open") == 200 or None, seconds=60, what="the first 200")
    wait_for(lambda: status(node, "/closed") == 401 or None, seconds=30, what="ext_authz's 401")
    statuses = [status(node, "/few") for _ in range(8)]
    assert statuses == sorted(statuses)
    assert set(statuses) == {200, 429}
    assert docker("exec", node.started["valkey"], "bash", "-c", COUNT_KEYS).strip() == ":1"


def test_telemetry_beside_envoy_has_its_requests(node: Node) -> None:
    """The sidecar reads the Envoy of its own pod."""
    wait_for(lambda: status(node, "/open") == 200 or None, seconds=60, what="a 200")
    read = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:18013/metrics').read().decode())"
    assert "gateway_requests_total{" in docker("exec", node.started["telemetry"], "python3", "-c", read)
