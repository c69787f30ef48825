"""The Compose file on a real Docker engine: not part of ``make test``; ``make test-docker`` runs it.

Ports 18080 and 18081 must be free. ``COMPOSE`` is the command when it is neither ``docker compose`` nor
``docker-compose``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.processes import wait_for

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "docker.md").read_text()
DOCKER = os.environ.get("DOCKER", "docker")
IMAGE = os.environ.get("GATEWAY_IMAGE", "api-gateway:latest")
GATEWAY, ADMIN = "http://127.0.0.1:18080", "http://127.0.0.1:18081"
PARTS = {
    "controlplane",
    "demo-backend",
    "demo-idp",
    "demo-keys",
    "envoy",
    "ext-authz",
    "ratelimit",
    "telemetry",
    "valkey",
}

pytestmark = pytest.mark.timeout(180)


def compose_command() -> list[str]:
    """Compose v2 where it is, else docker-compose 1.29."""
    if "COMPOSE" in os.environ:
        return shlex.split(os.environ["COMPOSE"])
    v2 = [DOCKER, "compose"]
    found = subprocess.run([*v2, "version"], capture_output=True, check=False).returncode == 0
    return v2 if found else ["docker-compose"]


@dataclass(frozen=True, slots=True)
class Installation:
    """One running project."""

    command: list[str]
    environment: dict[str, str]
    documents: Path
    seconds_to_first_answer: float

    def compose(self, *arguments: str) -> str:
        """Run a Compose command on the project."""
        done = subprocess.run(
            [*self.command, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of the container of a service."""
        identifier = self.compose("ps", "-q", service).strip()
        done = subprocess.run([DOCKER, "inspect", identifier], capture_output=True, text=True, check=True)
        (found,) = json.loads(done.stdout)
        return dict(found)

    def token(self) -> str:
        """A token of the demo identity provider."""
        return self.compose("exec", "-T", "demo-idp", "gateway", "demo", "token", "--sub", "alice").strip()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The whole Compose file with the demo profile, on ports and a document of its own."""
    documents = tmp_path_factory.mktemp("documents")
    documents.chmod(0o755)
    documents.parent.chmod(0o755)
    documents.parent.parent.chmod(0o755)
    shutil.copy(ROOT / "examples" / "compose" / "gateway.yaml", documents)
    environment = os.environ | {
        "COMPOSE_PROJECT_NAME": "api-gateway-test",
        "COMPOSE_PROFILES": "demo",
        "GATEWAY_HTTP_PORT": "18080",
        "GATEWAY_ADMIN_PORT": "18081",
        "GATEWAY_DOCUMENT_DIR": str(documents),
        "GATEWAY_ADMIN_TOKEN": "a-token-for-the-test",
    }
    begun = time.monotonic()
    project = Installation(compose_command(), environment, documents, 0)
    try:
        project.compose("up", "-d")
        wait_for(lambda: status("/public/hello") == 200 or None, seconds=90, what="the first 200")
        seconds = time.monotonic() - begun
        print(f"\nfirst 200 after {seconds:.1f} s, image {image_megabytes():.0f} MB")
        yield Installation(project.command, environment, documents, seconds)
    finally:
        print(project.compose("logs", "--no-color", "--tail", "30"))
        project.compose("down", "--volumes", "--timeout", "5")


def status(path: str, **headers: str) -> int:
    """The status of a GET through the gateway; 0 when there is no answer."""
    try:
        return httpx.get(GATEWAY + path, headers=headers, timeout=5).status_code
    except httpx.TransportError:
        return 0


def image_megabytes() -> float:
    """The size of the image as the engine counts it."""
    size = subprocess.run(
        [DOCKER, "image", "inspect", "--format", "{{.Size}}", IMAGE], capture_output=True, text=True, check=True
    )
    return int(size.stdout) / 1e6


def test_the_first_answer_comes_within_a_minute(gateway: Installation) -> None:
    """From ``up`` to the first 200 through Envoy."""
    assert gateway.seconds_to_first_answer < 60


def test_every_curl_line_of_the_guide_gets_the_status_that_it_promises(gateway: Installation) -> None:
    """The block of docs/guide/docker.md in a shell, on the ports of this test."""
    (block,) = [b for b in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if "curl" in b]
    promised = re.findall(r"# -> (\d{3})$", block, re.MULTILINE)
    block = block.replace("docker compose", shlex.join(gateway.command))
    block = block.replace("127.0.0.1:8000", "127.0.0.1:18080").replace("127.0.0.1:8001", "127.0.0.1:18081")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, env=gateway.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert len(promised) >= 5
    assert re.findall(r"HTTP/1\.1 (\d{3})", done.stdout) == promised
    assert '"x-user-id": "alice"' in done.stdout
    assert "mallory" not in done.stdout
    assert re.search(r"^retry-after: \d+", done.stdout, re.MULTILINE)
    assert "gateway_requests_total" in done.stdout


def test_every_part_becomes_healthy(gateway: Installation) -> None:
    """The engine's own health checks pass, and nothing has been restarted."""

    def unhealthy() -> bool | None:
        states = {part: gateway.inspect(part)["State"] for part in PARTS}
        bad = {p for p, s in states.items() if s.get("Health", {}).get("Status", "healthy") != "healthy"}
        return True if not bad else None

    wait_for(unhealthy, seconds=60, what="every container healthy")
    assert {gateway.inspect(part)["RestartCount"] for part in PARTS} == {0}


def test_nothing_but_the_two_ports_is_published_and_both_on_loopback(gateway: Installation) -> None:
    """What the engine has really bound on the host."""
    bound = [
        (part, binding["HostIp"], binding["HostPort"])
        for part in sorted(PARTS)
        for bindings in gateway.inspect(part)["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    ]
    assert bound == [("controlplane", "127.0.0.1", "18081"), ("envoy", "127.0.0.1", "18080")]


@pytest.mark.parametrize("part", sorted(PARTS))
def test_every_process_runs_without_root(gateway: Installation, part: str) -> None:
    """The first process of each container has UID 65532, no capability, and no way to gain one."""
    process = gateway.compose("exec", "-T", part, "cat", "/proc/1/status")
    assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", process, re.MULTILINE)
    assert re.search(r"^CapEff:\t0+$", process, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", process, re.MULTILINE)


@pytest.mark.parametrize("certificate", [True, False])
def test_who_has_no_certificate_gets_no_word_from_the_control_plane(gateway: Installation, certificate: bool) -> None:
    """A server that speaks HTTP/2 begins by itself (RFC 9113 §3.4): to a peer with a certificate, and to no other."""
    attempt = (
        "import ssl, socket\n"
        "context = ssl.create_default_context(cafile='/var/lib/gateway/tls/ca.crt')\n"
        "context.set_alpn_protocols(['h2'])\n"
        f"if {certificate}: context.load_cert_chain('/var/lib/gateway/tls/tls.crt', '/var/lib/gateway/tls/tls.key')\n"
        "tcp = socket.create_connection(('controlplane', 18000), 5)\n"
        "tls = context.wrap_socket(tcp, server_hostname='controlplane')\n"
        "try: print(len(tls.recv(9)))\n"
        "except ssl.SSLError: print(0)"
    )
    heard = int(gateway.compose("exec", "-T", "ratelimit", "python3", "-c", attempt))
    assert (heard > 0) is certificate


def test_a_saved_document_is_live_without_a_restart(gateway: Installation) -> None:
    """A route that is added to the mounted document answers, while others go on."""
    document = gateway.documents / "gateway.yaml"
    new = document.read_text().replace("path_prefix: /public/", "path_prefix: /added/")
    before = document.read_text()
    routes = before.index("routes:") + len("routes:\n")
    (added,) = re.findall(r"^ *- match: \{path_prefix: /added/\}\n(?: .*\n)*?(?= *- )", new, re.MULTILINE)
    replacement = gateway.documents / "next.yaml"
    replacement.write_text(before[:routes] + added + before[routes:])
    replacement.rename(document)
    wait_for(lambda: status("/added/x") == 200 or None, seconds=15, what="the added route")
    assert status("/public/hello") == 200


def test_a_killed_ext_authz_comes_back_by_itself(gateway: Installation) -> None:
    """503 on routes that authenticate while it is away, never a 401 or 403, and it is back without a hand."""
    headers = {"Authorization": f"Bearer {gateway.token()}"}
    before = gateway.inspect("ext-authz")
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: status("/api/x", **headers) == 503 or None, seconds=5, what="503 without ext_authz")
    seen = set()

    def back() -> bool | None:
        seen.add(status("/api/x", **headers))
        return True if seen & {200, 429} else None

    wait_for(back, seconds=20, what="ext_authz back")
    assert seen <= {200, 429, 503}, seen
    assert gateway.inspect("ext-authz")["RestartCount"] == before["RestartCount"] + 1


def test_traffic_goes_on_without_the_control_plane(gateway: Installation) -> None:
    """Stopping the control plane changes nothing for clients."""
    gateway.compose("stop", "controlplane")
    try:
        assert status("/public/hello") == 200
        assert status("/api/x") == 401
    finally:
        gateway.compose("start", "controlplane")


def test_the_image_has_no_tools_to_build_with() -> None:
    """Neither a compiler nor pip for the environment that the gateway runs in."""
    probe = "command -v gcc cc make; python3 -m pip --version; test -w /opt/gateway && echo writable; true"
    done = subprocess.run(
        [DOCKER, "run", "--rm", "--network", "none", "--entrypoint", "sh", IMAGE, "-c", probe],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == ""


def test_the_image_is_as_small_as_the_guide_says() -> None:
    """The guide states a size; the image is not larger."""
    (stated,) = re.findall(r"about (\d+) MB", GUIDE)
    assert image_megabytes() <= int(stated) * 1.05
