"""Saving the document twenty times under full load: nobody notices but those whom the document names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.harness.demo_document import demo_document
from tests.harness.gateway_up import GatewayUp, gateway_up
from tests.harness.load import Load

pytestmark = pytest.mark.timeout(120)

SAVES = 20
SECONDS = 20.0


def document(gateway: GatewayUp, save: int) -> str:
    """A document that differs from that of any other save: one more route, and another upstream setting."""
    return demo_document(
        gateway,
        *(f"match: {{path_prefix: /added-{n}}}" for n in range(save)),
        upstream=f", connect_timeout: {500 + save}ms, circuit_breaker: {{max_requests: {1000 + save}}}",
        identity_header="x-user-id-2" if save % 2 else "x-user-id",
    )


async def test_twenty_saves_under_load_lose_no_request(tmp_path: Path) -> None:
    """Open and authenticated requests at full speed for 20 s; each save adds a route, changes a cluster and a rule."""
    async with gateway_up(tmp_path) as gateway:
        gateway.write(document(gateway, 0))
        await gateway.start()
        token = await gateway.token("alice")
        loads = [
            Load(port=gateway.port, path="/public/x"),
            Load(port=gateway.port, path="/api/x", headers={"authorization": f"Bearer {token}"}),
        ]
        running = [asyncio.create_task(load.run()) for load in loads]
        for save in range(1, SAVES + 1):
            gateway.write(document(gateway, save))
            live = gateway.until_status(f"/added-{save - 1}/x", 200, seconds=10)
            await asyncio.gather(live, asyncio.sleep(SECONDS / SAVES))
        for load in loads:
            load.stop()
        for result in await asyncio.gather(*running):
            print(f"{result.total} answers: {dict(result.statuses)}")
            assert set(result.statuses) == {200}
            assert not result.broken
            assert result.total > 1000


async def test_a_broken_save_changes_nothing_and_says_why(tmp_path: Path) -> None:
    """The last good document stays live; the log and the admin API name file, line and column."""
    async with gateway_up(tmp_path) as gateway:
        gateway.write(document(gateway, 1))
        await gateway.start()
        gateway.write(document(gateway, 2).replace("upstream: echo", "upstream: ecoh", 1))
        (refused,) = await gateway.until_refused(seconds=10)
        assert refused["hint"] == "did you mean 'echo'?"
        assert refused["where"] == f"{gateway.path}:14:47"
        assert refused["where"] in gateway.log()
        assert await gateway.get_status("/added-0/x") == 200
        assert await gateway.get_status("/added-1/x") == 404


def test_the_documents_differ(tmp_path: Path) -> None:
    """The load test would prove nothing if its saves were equal."""
    gateway = GatewayUp(tmp_path)
    assert len({document(gateway, save) for save in range(SAVES + 1)}) == SAVES + 1
