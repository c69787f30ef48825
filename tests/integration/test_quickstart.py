"""The README's own command and the README's own curl lines, on the ports that the README names."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.harness.processes import wait_for, wait_until_answers

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FAMILIES = (
    "gateway_requests_total",
    "gateway_request_duration_seconds_bucket",
    "gateway_active_connections",
    "gateway_rate_limit_exceeded_total",
    "gateway_circuit_breaker_state",
)

pytestmark = [pytest.mark.xdist_group("readme-ports"), pytest.mark.timeout(180)]


def shell_block(containing: str) -> str:
    """The one ``sh`` block of the README that holds ``containing``."""
    (block,) = [b for b in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if containing in b]
    return str(block)


def expected_lines() -> list[tuple[str, str]]:
    """Each curl line that says which status it expects, with that status."""
    return re.findall(r"^(curl .*?)\s+# -> (\d{3})$", shell_block("curl"), re.MULTILINE)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[float]:
    """``make up``, until it is stopped with Ctrl-C; gives the seconds to its first 200."""
    log = tmp_path_factory.mktemp("up") / "log"
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            shell_block("make up").split(), cwd=ROOT, start_new_session=True, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_answers("http://127.0.0.1:8000/public/hello", process, seconds=60)
        yield time.monotonic() - begun
        os.killpg(process.pid, signal.SIGINT)
        process.wait(15)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        print(log.read_text()[-4000:])


def test_the_gateway_answers_within_a_minute(gateway: float) -> None:
    """From ``make up`` to the first 200, with the packages there."""
    assert gateway < 60


def test_every_curl_line_gets_the_status_that_the_readme_promises(gateway: float) -> None:
    """The block is pasted into a shell whole, as a reader would."""
    lines = expected_lines()
    assert len(lines) >= 5
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shell_block("curl")], cwd=ROOT, capture_output=True, timeout=60
    )
    output = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    statuses = re.findall(r"HTTP/1\.1 (\d{3}) ", output)
    assert statuses == [status for _, status in lines], output
    assert '"x-user-id": "alice"' in output
    assert "mallory" not in output
    assert re.search(r"^retry-after: \d+", output, re.MULTILINE)
    assert "gateway_requests_total" in output
    wait_for(lambda: missing_families() == [] or None, seconds=10, what="every family of the seed is in the metrics")


def missing_families() -> list[str]:
    """The families of the seed that :8001/metrics has no sample of. Envoy's histograms come two seconds late."""
    metrics = httpx.get("http://127.0.0.1:8001/metrics", timeout=5).text
    return [family for family in FAMILIES if f"\n{family}" not in metrics]
