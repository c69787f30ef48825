"""Sends spans to a collector in batches. Requests never wait for it: what does not fit is dropped and counted."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import httpx
import structlog
from prometheus_client import CollectorRegistry, Counter

from servicekit.tracing.span import Span, encode_spans

MOST_WAITING: Final = 4096
"""Spans that wait to be sent."""
BATCH: Final = 512
PAUSE: Final = 1.0
"""Seconds between two batches while less than one is waiting."""
DEADLINE: Final = 5.0
"""Seconds that the collector has for a batch."""

_log = structlog.get_logger(__name__)


class SpanExporter:
    """OTLP over HTTP with JSON, to ``endpoint`` and ``/v1/traces`` behind it. Not for several threads."""

    def __init__(
        self,
        endpoint: str,
        *,
        service: str,
        registry: CollectorRegistry,
        pause: float = PAUSE,
        deadline: float = DEADLINE,
    ) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._service = service
        self._pause = pause
        self._deadline = deadline
        self._waiting: deque[Span] = deque()
        spans = Counter("gateway_trace_spans", "Spans by what became of them.", ["outcome"], registry=registry)
        self._exported, self._dropped = spans.labels("exported"), spans.labels("dropped")
        self._reachable = True

    def record(self, span: Span) -> None:
        """Take a span; the newest is dropped where there is no room."""
        if len(self._waiting) >= MOST_WAITING:
            self._dropped.inc()
        else:
            self._waiting.append(span)

    async def run(self) -> None:
        """Send for ever; cancelled, it tries once more with what is left."""
        async with httpx.AsyncClient(trust_env=False, follow_redirects=False) as client:
            try:
                while True:
                    await asyncio.sleep(self._pause if len(self._waiting) < BATCH else 0)
                    await self._send(client)
            finally:
                await self._send(client)

    async def _send(self, client: httpx.AsyncClient) -> None:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not batch:
            return
        error = await self._post(client, encode_spans(batch, service=self._service))
        (self._exported if error is None else self._dropped).inc(len(batch))
        if error is not None and self._reachable:
            _log.warning("spans are dropped", collector=self._url, error=error)
        elif error is None and not self._reachable:
            _log.info("spans are taken again", collector=self._url)
        self._reachable = error is None

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> str | None:
        """Why it failed, or ``None``."""
        headers = {"content-type": "application/json"}
        try:
            async with asyncio.timeout(self._deadline):
                response = await client.post(self._url, content=body, headers=headers, timeout=self._deadline)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return f"{type(error).__name__}: {error}".rstrip(": ")
        return None if response.is_success else f"answered {response.status_code}"
