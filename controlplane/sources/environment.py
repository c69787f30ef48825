"""The gateway of somebody who has no document: one listener, one backend, everything proxied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import yaml

from controlplane.config import load_document
from controlplane.sources.source import Loaded

ORIGIN = "environment"


class EnvironmentSource:
    """Makes one document from two settings, and never another."""

    def __init__(self, *, backend_url: str, port: int) -> None:
        document = {
            "listeners": [{"name": "http", "port": port}],
            "upstreams": [{"name": "backend", "endpoints": [backend_url]}],
            "routes": [{"match": {"path_prefix": "/"}, "upstream": "backend"}],
        }
        text = yaml.safe_dump(document, sort_keys=False).encode()
        self._loaded = Loaded(ORIGIN, load_document(text, origin=ORIGIN), text)

    async def documents(self) -> AsyncGenerator[Loaded, None]:
        """The one document; then nothing, for ever."""
        yield self._loaded
        await asyncio.Event().wait()
