"""The backend that answers with what it received."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.demo.backend import echo
from servicekit.health import Health


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Talks to it without a socket."""
    transport = httpx.ASGITransport(app=echo(Health(started=True)))
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as made:
        yield made


async def test_it_describes_the_request(client: httpx.AsyncClient) -> None:
    """Method, path as it was written, query, headers (repeated ones joined), size of the body."""
    headers = [("x-a", "1"), ("x-a", "2"), ("x-user-id", "alice")]
    told = (await client.post("/a%2Fb/c?x=1", headers=headers, content=b"12345")).json()
    assert (told["method"], told["path"], told["query"], told["body_bytes"]) == ("POST", "/a%2Fb/c", "x=1", 5)
    assert told["headers"]["x-a"] == "1, 2"
    assert told["headers"]["x-user-id"] == "alice"


@pytest.mark.parametrize(
    ("query", "status"), [("status=503", 503), ("status=204", 204), ("status=99", 200), ("status=no", 200), ("", 200)]
)
async def test_it_fails_as_it_is_told(client: httpx.AsyncClient, query: str, status: int) -> None:
    """Within what HTTP knows; anything else is no order."""
    assert (await client.get(f"/x?{query}")).status_code == status


async def test_it_is_slow_as_it_is_told(client: httpx.AsyncClient) -> None:
    """In milliseconds or seconds."""
    begun = time.monotonic()
    await client.get("/x?delay=200ms")
    await client.get("/x?delay=0.1s")
    assert 0.3 <= time.monotonic() - begun < 2


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/startup"])
async def test_its_health_is_its_own(client: httpx.AsyncClient, path: str) -> None:
    """For probes."""
    assert (await client.get(path)).json() == {"status": "ok"}
