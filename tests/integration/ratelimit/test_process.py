"""The whole process, as ``gateway ratelimit`` runs it: what it needs to start, what it tells, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from envoy.service.ratelimit.v3.rls_pb2_grpc import RateLimitServiceStub

from servicekit.contracts import Limit, LimitPolicy
from servicekit.xds.last_good import LastGood, Policy
from tests.harness.envoy import short_folder
from tests.harness.ports import free_port
from tests.harness.processes import wait_for, wait_until_answers
from tests.harness.valkey import Valkey

PER_USER = Limit(name="per-user", by="user", requests=1, period_seconds=60, burst=1)
START = [sys.executable, "-c", "from ratelimit_service.app import main; main()"]


@dataclass(frozen=True, slots=True)
class Running:
    """A started process."""

    process: subprocess.Popen[bytes]
    http: str
    socket: Path

    def ask(self) -> RateLimitResponse:
        """One question for alice."""
        request = RateLimitRequest(domain="gateway")
        descriptor = request.descriptors.add()
        descriptor.entries.add(key="limit", value="per-user")
        descriptor.entries.add(key="user", value="alice")
        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            return RateLimitServiceStub(channel).ShouldRateLimit(request, timeout=5)

    def metric(self, line: str) -> bool:
        """Whether the metrics page has this line."""
        return line in httpx.get(f"{self.http}/metrics").text.splitlines()


@contextmanager
def running(folder: Path, redis_url: str) -> Iterator[Running]:
    """The process with its sockets and its state in ``folder``; no control plane."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_RATELIMIT_BIND": f"unix:{folder}/g",
        "GATEWAY_RATELIMIT_HTTP_BIND": f"127.0.0.1:{port}",
        "GATEWAY_XDS_ADDRESS": f"unix:{folder}/nobody",
        "GATEWAY_STATE_DIR": str(folder / "state"),
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_REDIS_TIMEOUT_MS": "1000",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(START, env=environment, stdout=log, stderr=log)
    try:
        started = Running(process, f"http://127.0.0.1:{port}", folder / "g")
        wait_until_answers(f"{started.http}/health/live", process, seconds=20)
        yield started
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a last good policy."""
    with short_folder() as made:
        policy = LimitPolicy(limits=(PER_USER,))
        LastGood(made / "state", "LimitPolicy").save(Policy("v1", policy.encode()))
        yield made


def test_it_starts_from_its_last_policy_and_stops_on_sigterm(folder: Path, valkey: Valkey) -> None:
    """Without a control plane: ready, deciding in Redis, and its metrics name the limit and no caller."""
    with running(folder, valkey.url) as process:
        wait_until_answers(f"{process.http}/health/ready", process.process, seconds=10)
        wait_for(lambda: process.metric("gateway_ratelimit_store_up 1.0") or None, seconds=10, what="the store is up")
        codes = [process.ask().overall_code for _ in range(2)]
        assert codes == [RateLimitResponse.OK, RateLimitResponse.OVER_LIMIT]
        assert valkey.command("DBSIZE") >= 1
        assert process.metric('gateway_rate_limit_exceeded_total{limit="per-user",tier="user"} 1.0')
        assert "alice" not in httpx.get(f"{process.http}/metrics").text


def test_it_is_ready_without_redis(folder: Path) -> None:
    """Redis being away is a state shown in the metrics, no reason to take the process out of service."""
    with running(folder, f"unix://{folder}/no-redis") as process:
        wait_until_answers(f"{process.http}/health/ready", process.process, seconds=10)
        codes = [process.ask().overall_code for _ in range(2)]
        assert codes == [RateLimitResponse.OK, RateLimitResponse.OVER_LIMIT]
        assert process.metric("gateway_ratelimit_store_up 0.0")
        assert process.metric('gateway_ratelimit_decisions_total{outcome="ok",source="fallback"} 1.0')


def test_it_is_not_ready_without_a_policy(valkey: Valkey) -> None:
    """It lives, but has nothing to decide by."""
    with short_folder() as empty, running(empty, valkey.url) as process:
        answer = httpx.get(f"{process.http}/health/ready")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == {"policy": "no policy yet"}
        with pytest.raises(grpc.RpcError) as caught:
            process.ask()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
