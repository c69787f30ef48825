"""ext_authz behind an Envoy that is not ours, with a policy from a file: what the guide says, run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.binaries import envoy_path
from tests.harness.echo import running_echo
from tests.harness.ports import free_port
from tests.harness.processes import wait_for, wait_until_answers

pytestmark = pytest.mark.timeout(60)

GUIDE = (Path(__file__).parents[3] / "docs/guide/ext-authz.md").read_text()


def block(language: str) -> str:
    """The one block of the guide in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return str(found)


@contextmanager
def running(command: list[str | Path], output: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended at the end."""
    with output.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(15)


def test_the_guide(tmp_path: Path) -> None:
    """Open, keys, no credentials; a policy that is saved; one that makes no sense; and no control plane anywhere."""
    port, checks, health = free_port(), free_port(), free_port()
    policy = tmp_path / "policy.json"
    policy.write_text(block("json"))
    settings = {
        "GATEWAY_EXT_AUTHZ_BIND": f"127.0.0.1:{checks}",
        "GATEWAY_EXT_AUTHZ_HTTP_BIND": f"127.0.0.1:{health}",
        "GATEWAY_DRAIN_SECONDS": "0.2",
    }
    with running_echo() as echo:
        config = tmp_path / "envoy.yaml"
        text = block("yaml")
        for written, real in ((8000, port), (8048, echo.port), (18001, checks)):
            text = text.replace(f"port_value: {written}}}", f"port_value: {real}}}")
        config.write_text(text)
        service: list[str | Path] = [sys.executable, "-m", "gateway", "ext-authz", "--policy", policy]
        envoy: list[str | Path] = [envoy_path(), "-c", config, "--use-dynamic-base-id", "-l", "error"]
        url = f"http://127.0.0.1:{port}"
        with running(service, tmp_path / "service.log", **settings) as process, running(envoy, tmp_path / "envoy.log"):
            wait_until_answers(f"http://127.0.0.1:{health}/health/ready", process, seconds=15)
            wait_for(lambda: answers(url), seconds=15, what="Envoy listens")
            spoofed = httpx.get(f"{url}/public/", headers={"x-user-id": "root"})
            assert "x-user-id" not in spoofed.json()["headers"]
            assert httpx.get(f"{url}/").status_code == 401
            known = httpx.get(f"{url}/", headers={"x-api-key": "key", "x-user-id": "root"}).json()["headers"]
            assert known["x-partner"] == "acme"
            assert not {"x-user-id", "x-api-key"} & known.keys()

            changed = json.loads(policy.read_text())
            changed["providers"][1]["keys"] = {}
            policy.write_text(json.dumps(changed))
            wait_for(lambda: status(url) == 401 or None, seconds=5, what="the key is gone")
            policy.write_text('{"rules": 7}')
            wait_for(
                lambda: "can't be enforced" in (tmp_path / "service.log").read_text() or None,
                seconds=5,
                what="an error",
            )
            assert status(url) == 401
            assert httpx.get(f"http://127.0.0.1:{health}/health/ready").status_code == 200


def status(url: str) -> int:
    """Of a request with the key."""
    return httpx.get(f"{url}/", headers={"x-api-key": "key"}).status_code


def answers(url: str) -> bool | None:
    """Whether anybody listens."""
    try:
        return httpx.get(f"{url}/public/").status_code == 200 or None
    except httpx.TransportError:
        return None
