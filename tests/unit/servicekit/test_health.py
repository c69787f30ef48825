"""What a process says of itself, over HTTP."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from servicekit.health import Health
from servicekit.http import operations_app


async def ask(health: Health, path: str, registry: CollectorRegistry | None = None) -> httpx.Response:
    """``GET path`` of the operations application."""
    app = operations_app(health=health, registry=registry or CollectorRegistry())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("health", "live", "startup", "ready"),
    [
        (Health(), 200, 503, 503),
        (Health(started=True), 200, 200, 200),
        (Health(started=True, draining=True), 200, 200, 503),
        (Health(started=True, checks={"redis": lambda: None}), 200, 200, 200),
        (Health(started=True, checks={"redis": lambda: "away"}), 200, 200, 503),
    ],
)
async def test_each_state_has_its_answers(health: Health, live: int, startup: int, ready: int) -> None:
    """Starting, ready, draining, and with a check that complains."""
    statuses = [(await ask(health, f"/health/{name}")).status_code for name in ("live", "startup", "ready")]
    assert statuses == [live, startup, ready]


async def test_every_reason_is_named() -> None:
    """By the name of its check."""
    health = Health(checks={"redis": lambda: "away", "policy": lambda: None})
    answer = (await ask(health, "/health/ready")).json()
    assert answer == {"status": "unavailable", "reasons": {"redis": "away", "startup": "still starting"}}


async def test_metrics_are_those_of_the_registry() -> None:
    """And of no global one."""
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc()
    text = (await ask(Health(), "/metrics", registry)).text
    assert "things_total 1.0" in text
    assert "python_info" not in text
