"""What clients see while parts of a running gateway die: the table of the README, on real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.gateway_up import GatewayUp, gateway_up
from tests.harness.load import Load

pytestmark = pytest.mark.timeout(90)

BACK_WITHIN = 5.0


def document(gateway: GatewayUp) -> str:
    """An open route, one behind a token, and one that is limited."""
    return f"""
listeners: [{{name: http, port: {gateway.port}}}]
upstreams:
  - {{name: echo, endpoints: ["http://127.0.0.1:{gateway.backend_port}"]}}
authentication:
  demo:
    jwt:
      issuer: http://127.0.0.1:{gateway.idp_port}
      audiences: [quickstart]
      jwks_uri: http://127.0.0.1:{gateway.idp_port}/.well-known/jwks.json
      forward_claims: {{sub: x-user-id}}
rate_limits:
  per-ip: {{by: ip, requests: 1, per: 1h, burst: 3}}
routes:
  - {{match: {{path_prefix: /public}}, upstream: echo}}
  - {{match: {{path_prefix: /api}}, upstream: echo, authenticate: [demo]}}
  - {{match: {{path_prefix: /limited}}, upstream: echo, rate_limits: [per-ip]}}
"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayUp]:
    """A gateway that runs."""
    async with gateway_up(tmp_path) as running:
        running.write(document(running))
        await running.start()
        yield running


def kill(gateway: GatewayUp, role: str) -> None:
    """``kill -9`` of the one process of ``role``."""
    (process_id,) = gateway.process_ids("gateway", role)
    os.kill(process_id, signal.SIGKILL)


def existing(paths: list[Path]) -> list[Path]:
    """Those of ``paths`` that are there."""
    return [path for path in paths if path.exists()]


async def test_ext_authz_dies_and_is_back_within_five_seconds(gateway: GatewayUp) -> None:
    """503 and never 401 or 403 meanwhile; open routes don't notice."""
    authorization = f"Bearer {await gateway.token('alice')}"
    assert await gateway.get_status("/api/x", authorization=authorization) == 200
    opened = Load(port=gateway.port, path="/public/x", connections=2)
    guarded = Load(port=gateway.port, path="/api/x", connections=2, headers={"authorization": authorization})
    running = [asyncio.create_task(load.run()) for load in (opened, guarded)]
    kill(gateway, "ext-authz")
    await gateway.until_status("/api/x", 503, seconds=BACK_WITHIN, authorization=authorization)
    await gateway.until_status("/api/x", 200, seconds=BACK_WITHIN, authorization=authorization)
    for load in (opened, guarded):
        load.stop()
    await asyncio.gather(*running)
    assert set(opened.result.statuses) == {200}
    assert set(guarded.result.statuses) <= {200, 503}
    assert not opened.result.broken
    assert not guarded.result.broken


async def test_the_control_plane_dies_and_nobody_notices(gateway: GatewayUp) -> None:
    """Not a request is lost, and the next change goes live when it is back."""
    load = Load(port=gateway.port, path="/public/x", connections=4)
    running = asyncio.create_task(load.run())
    kill(gateway, "controlplane")
    gateway.write(document(gateway).replace("path_prefix: /limited", "path_prefix: /moved"))
    await gateway.until_status("/moved/x", 200, seconds=15)
    load.stop()
    result = await running
    assert set(result.statuses) == {200}
    assert not result.broken
    assert result.total > 100


async def test_the_rate_limiter_dies_and_requests_pass(gateway: GatewayUp) -> None:
    """A dead limiter is no reason to refuse anybody; the limit holds again when it is back."""
    kill(gateway, "ratelimit")
    assert await gateway.get_status("/limited/x") == 200
    await gateway.until_status("/limited/x", 429, seconds=15)


async def test_envoy_dies_and_is_back_within_five_seconds(gateway: GatewayUp) -> None:
    """Nobody can be served without it; the supervisor starts another."""
    kill(gateway, "envoy")
    await gateway.until_status("/public/x", 0, seconds=BACK_WITHIN)
    assert await gateway.until_status("/public/x", 200, seconds=10) < BACK_WITHIN


async def test_ctrl_c_stops_everything_within_five_seconds(tmp_path: Path) -> None:
    """No process and no temporary file is left."""
    async with gateway_up(tmp_path) as gateway:
        gateway.write(document(gateway))
        await gateway.start()
        (folder,) = {
            line.split("/xds.sock")[0].split("unix:")[1] for line in gateway.log().splitlines() if "xds.sock" in line
        }
        children = gateway.process_ids()
        assert len(children) >= 7
        left = [Path(folder), *(Path(f"/proc/{process_id}") for process_id in children)]
        assert existing(left) == left
        assert await gateway.stop() < 5.0
        assert existing(left) == []


async def test_one_request_id_goes_through_all_parts(gateway: GatewayUp) -> None:
    """The one that the client gets back is the one that the backend saw and that the access log has."""
    answer = await gateway.get("/public/x", x_request_id="chosen-by-a-stranger")
    request_id = answer.headers["x-request-id"]
    assert request_id != "chosen-by-a-stranger"
    assert answer.json()["headers"]["x-request-id"] == request_id

    async def logged() -> bool | None:
        return f'"request_id":"{request_id}"' in gateway.log() or None

    await gateway.until(logged, seconds=15, what="the access log has the request")


async def test_without_a_document_everything_is_proxied(tmp_path: Path) -> None:
    """The seed's first phase: /health is the gateway's, all else the backend's."""
    async with gateway_up(tmp_path) as backend:
        backend.write(document(backend))
        await backend.start()
        async with gateway_up(tmp_path / "one") as gateway:
            gateway.backend_port = backend.backend_port
            await gateway.start(path="/health", demo=False)
            proxied = await gateway.get("/any/path?x=1")
            assert proxied.status_code == 200
            assert proxied.json()["path"] == "/any/path"
            health = await gateway.get("/health")
            assert health.status_code == 200
            assert "headers" not in health.text
