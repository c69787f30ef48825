"""The gateway of somebody who has no document: one listener, one backend, everything proxied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from controlplane.config import GatewayConfig
from controlplane.sources.source import Loaded

ORIGIN = "environment"


class EnvironmentSource:
    """Makes one document from two settings, and never another."""

    def __init__(self, *, backend_url: str, port: int) -> None:
        self._document = GatewayConfig.model_validate(
            {
                "listeners": [{"name": "http", "port": port}],
                "upstreams": [{"name": "backend", "endpoints": [backend_url]}],
                "routes": [{"match": {"path_prefix": "/"}, "upstream": "backend"}],
            }
        )

    async def documents(self) -> AsyncGenerator[Loaded, None]:
        """The one document; then nothing, for ever."""
        yield Loaded(ORIGIN, self._document)
        await asyncio.Event().wait()
