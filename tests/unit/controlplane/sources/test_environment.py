"""The gateway without a document."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from controlplane.config import GatewayConfig
from controlplane.model import UpstreamTls, upstreams_of
from controlplane.resolve import resolve
from controlplane.sources import EnvironmentSource


async def test_two_settings_make_a_gateway() -> None:
    """One listener, one backend, one route for everything."""
    async with aclosing(
        EnvironmentSource(backend_url="https://backend.example.com", port=8123).documents()
    ) as documents:
        loaded = await anext(documents)
    assert loaded.origin == "environment"
    assert isinstance(loaded.content, GatewayConfig)
    gateway = resolve(loaded.content, listen_address="0.0.0.0")
    (listener,), (upstream,), (route,) = gateway.listeners, gateway.upstreams, gateway.routes
    assert (listener.address, listener.port) == ("0.0.0.0", 8123)
    assert (upstream.tls, upstream.endpoints[0].host, upstream.endpoints[0].port) == (
        UpstreamTls(),
        "backend.example.com",
        443,
    )
    assert (route.match.path.kind, route.match.path.value) == ("prefix", "/")
    assert [*upstreams_of(route.action)] == [upstream.name]
    assert route.authenticate == route.rate_limits == ()


async def test_it_never_ends() -> None:
    """A source that ended would end the control plane."""
    async with aclosing(EnvironmentSource(backend_url="http://127.0.0.1", port=1).documents()) as documents:
        await anext(documents)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(documents)
