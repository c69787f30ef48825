"""What was live when, of a running gateway: from the command line, as an operator asks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gateway_up import GatewayUp, gateway_up

pytestmark = pytest.mark.timeout(90)


def document(gateway: GatewayUp, timeout: str) -> str:
    """A document whose only route has ``timeout``."""
    return f"""
listeners: [{{name: http, port: {gateway.port}}}]
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:{gateway.backend_port}"]}}]
routes: [{{name: all, match: {{path_prefix: /}}, upstream: echo, timeout: {timeout}}}]
"""


async def command(gateway: GatewayUp, *words: str) -> Any:
    """What ``gateway`` prints as JSON."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gateway", *words, "--output", "json"],
        env=gateway.environment(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


async def test_every_save_is_a_revision_with_what_became_of_it(tmp_path: Path) -> None:
    """Numbers, outcomes by the nodes' ACKs, the text as it was, and what the difference means; no broken save."""
    async with gateway_up(tmp_path) as gateway:
        first = document(gateway, "1s")
        gateway.write(first)
        await gateway.start()
        gateway.write(document(gateway, "2s").replace("timeout", "timeuot"))
        await gateway.until_refused(seconds=10)
        gateway.write(document(gateway, "2s"))

        async def applied() -> bool | None:
            status = await gateway.admin("/api/v1/status")
            return True if (status["revision"], status["outcome"]) == (2, "applied") else None

        await gateway.until(applied, seconds=15, what="every node has revision 2")
        log = await command(gateway, "log")
        assert [revision["number"] for revision in log["items"]] == [2, 1]
        assert log["items"][0]["outcome"] == "applied"
        assert (await command(gateway, "show", "1"))["text"] == first
        difference = await command(gateway, "diff", "1", "2")
        assert "timeout" in json.dumps(difference)
        assert "RouteConfiguration" in json.dumps(difference)
        nodes = {node["id"]: node["synced"] for node in await command(gateway, "nodes")}
        assert nodes == {"envoy": True, "ext-authz": True, "ratelimit": True}
