"""``gateway ratelimit --config``: files of the usual Go service, on a real Valkey, behind a real Envoy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from envoy.service.ratelimit.v3.rls_pb2_grpc import RateLimitServiceStub

from controlplane.translate import translate_release
from tests.harness import gateways as g
from tests.harness.echo import running_echo
from tests.harness.envoy import envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.ports import free_port
from tests.harness.processes import wait_for, wait_until_answers
from tests.harness.valkey import Valkey

RULES = """
domain: gateway
descriptors:
  - key: limit
    value: per-ip
    descriptors:
      - key: ip
        rate_limit: {unit: day, requests_per_unit: 2}
"""
COMMAND = [sys.executable, "-c", "from gateway.cli import main; main()", "ratelimit", "--config"]


@dataclass(frozen=True, slots=True)
class Running:
    """A started process."""

    http: str
    rules: Path
    socket: Path

    def post(self, caller: str, **more: object) -> httpx.Response:
        """One question over ``/json``."""
        entries = [{"key": "limit", "value": "per-ip"}, {"key": "ip", "value": caller}]
        question = {"domain": "gateway", "descriptors": [{"entries": entries} | more]}
        return httpx.post(f"{self.http}/json", json=question, timeout=10)


@contextmanager
def running(folder: Path, redis_url: str) -> Iterator[Running]:
    """The process with its socket and its files in ``folder``."""
    rules, port = folder / "rules", free_port()
    rules.mkdir()
    (rules / "rules.yaml").write_text(RULES)
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_RATELIMIT_BIND": f"unix:{folder}/ratelimit.sock",
        "GATEWAY_RATELIMIT_HTTP_BIND": f"127.0.0.1:{port}",
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_REDIS_TIMEOUT_MS": "1000",
    }
    with (folder / "rules.log").open("wb") as log:
        process = subprocess.Popen([*COMMAND, str(rules)], env=environment, stdout=log, stderr=log)
    try:
        http = f"http://127.0.0.1:{port}"
        wait_until_answers(f"{http}/healthcheck", process, seconds=20)
        wait_for(
            lambda: "gateway_ratelimit_store_up 1.0" in httpx.get(f"{http}/metrics").text or None,
            seconds=10,
            what="the store is up",
        )
        yield Running(http, rules, folder / "ratelimit.sock")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, (folder / "rules.log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path."""
    with short_folder() as made:
        yield made


def test_it_stands_in_for_the_other_service(valkey: Valkey) -> None:
    """Over gRPC and HTTP: the same counters, the documented answers, no caller in Redis; and files that change."""
    with short_folder() as folder, running(folder, valkey.url) as service:
        answer = service.post("10.0.0.1").json()
        left = int(answer["statuses"][0].pop("durationUntilReset").removesuffix("s"))
        assert abs(left - (86_400 - time.time() % 86_400)) < 60
        assert answer == {
            "overallCode": "OK",
            "statuses": [{"code": "OK", "currentLimit": {"requestsPerUnit": 2, "unit": "DAY"}, "limitRemaining": 1}],
        }
        assert ask(service.socket, "10.0.0.1") == RateLimitResponse.OK
        assert ask(service.socket, "10.0.0.1") == RateLimitResponse.OVER_LIMIT
        assert service.post("10.0.0.1").status_code == 429
        assert service.post("10.0.0.2", limit={"requestsPerUnit": 1, "unit": "HOUR"}).status_code == 200
        assert service.post("10.0.0.2", limit={"requestsPerUnit": 1, "unit": "HOUR"}).status_code == 429
        assert all(b"10.0.0" not in key for key in valkey.command("KEYS", "*"))
        for body in (b"{", b"{}", b'{"domain": "gateway"}', b"[" * 100_000, b"\xff"):
            assert httpx.post(f"{service.http}/json", content=body).status_code == 400
        assert httpx.get(f"{service.http}/rlconfig").text == (
            "gateway.limit_per-ip.ip: unit=DAY requests_per_unit=2, shadow_mode: false\n"
        )
        (service.rules / "rules.yaml").write_text(RULES.replace("requests_per_unit: 2", "requests_per_unit: 9"))
        wait_for(lambda: service.post("10.0.0.1").status_code == 200 or None, seconds=10, what="the new limit holds")


def test_it_limits_what_passes_through_an_envoy(valkey: Valkey) -> None:
    """Two requests of a client pass, the third is a 429."""
    with ExitStack() as stack:
        folder, echo = stack.enter_context(short_folder()), stack.enter_context(running_echo())
        stack.enter_context(running(folder, valkey.url))
        port = free_port()
        release = translate_release(
            g.gateway(
                g.route("/", rate_limits=("per-ip",)),
                listeners=(g.listener(port),),
                upstreams=(g.upstream(port=echo.port),),
                rate_limits=(g.rate_limit("per-ip"),),
            )
        )
        settings = envoy_settings(folder)
        bootstrap = static_bootstrap(release.groups["edge"], settings)
        stack.enter_context(running_envoy(bootstrap, settings, folder=folder))
        assert [httpx.get(f"http://127.0.0.1:{port}/").status_code for _ in range(3)] == [200, 200, 429]


def test_it_does_not_start_with_a_mistake(folder: Path) -> None:
    """It says where, and ends."""
    (folder / "a.yaml").write_text("domain: a\ndescriptors: [{key: a, rate_limit: {unit: eon}}]\n")
    ended = subprocess.run(
        [*COMMAND, str(folder)], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "a.yaml:2:43: unit has to be one of second, minute, hour" in ended.stderr


def ask(socket: Path, caller: str) -> int:
    """The answer over gRPC."""
    request = RateLimitRequest(domain="gateway")
    descriptor = request.descriptors.add()
    descriptor.entries.add(key="limit", value="per-ip")
    descriptor.entries.add(key="ip", value=caller)
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        answer: RateLimitResponse = RateLimitServiceStub(channel).ShouldRateLimit(request, timeout=5)
        return int(answer.overall_code)
