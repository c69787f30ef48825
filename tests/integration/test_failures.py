"""What clients see, request by request, while a part of a running gateway dies: the table of the README."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.demo_document import demo_document
from tests.harness.gateway_up import GatewayUp, gateway_up
from tests.harness.load import Load

pytestmark = pytest.mark.timeout(90)

BACK_WITHIN = 5.0


def document(gateway: GatewayUp) -> str:
    """Besides the usual, a route that asks for a scope, and one that is limited."""
    return demo_document(
        gateway,
        "match: {path_prefix: /admin}, authenticate: [demo], scopes: [admin]",
        "match: {path_prefix: /limited}, rate_limits: [per-ip]",
        limits="per-ip: {by: ip, requests: 1, per: 1h, burst: 3}",
    )


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


async def test_who_may_not_gets_a_403_and_who_may_gets_in(gateway: GatewayUp) -> None:
    """A problem document and RFC 6750's insufficient_scope; a token that grants the scope passes."""
    answer = await gateway.get("/admin/x", authorization=f"Bearer {await gateway.token('alice')}")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    token = await gateway.token("alice", "--claim", "scope=read admin")
    assert await gateway.get_status("/admin/x", authorization=f"Bearer {token}") == 200


async def test_one_request_id_goes_through_all_parts(gateway: GatewayUp) -> None:
    """The one that the client gets back is the one that the backend saw and that the access log has."""
    answer = await gateway.get("/public/x", x_request_id="chosen-by-a-stranger")
    request_id = answer.headers["x-request-id"]
    assert request_id != "chosen-by-a-stranger"
    assert answer.json()["headers"]["x-request-id"] == request_id

    async def logged() -> bool | None:
        return f'"request_id":"{request_id}"' in gateway.log() or None

    await gateway.until(logged, seconds=15, what="the access log has the request")
