"""``envoy.service.rate_limit_quota.v3.RateLimitQuotaService``: Envoys report what came, and are told their shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from secrets import token_hex
from typing import Final

import grpc.aio
from envoy.service.rate_limit_quota.v3.rlqs_pb2 import RateLimitQuotaResponse, RateLimitQuotaUsageReports

from ratelimit_service.quota.book import LEASE_SECONDS, QuotaBook
from ratelimit_service.quota.shares import Bucket
from servicekit.contracts.limit_policy import QUOTA_ENTRY, Quota

MOST_STREAMS: Final = 1_000
WRITE_SECONDS: Final = 2.0
"""An Envoy that does not take what it is told for so long is cut off."""


class QuotaService:
    """The streams of this process.

    Args:
        serves: whether there is a policy yet.
    """

    def __init__(self, *, book: QuotaBook, serves: Callable[[], bool]) -> None:
        self._book = book
        self._serves = serves
        self._streams: dict[str, grpc.aio.ServicerContext] = {}
        self._telling = asyncio.Lock()
        self._is_draining: Callable[[], bool] = lambda: False

    def __len__(self) -> int:
        return len(self._streams)

    async def StreamRateLimitQuotas(  # noqa: N802  # named by the protocol
        self, reports: AsyncIterator[RateLimitQuotaUsageReports], context: grpc.aio.ServicerContext
    ) -> None:
        """One Envoy's stream. ``UNAVAILABLE`` before the first policy; ``RESOURCE_EXHAUSTED`` beyond 1,000 streams."""
        if not self._serves():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no policy yet")
        if len(self._streams) >= MOST_STREAMS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams")
        stream = token_hex(8)
        self._streams[stream] = context
        try:
            async for report in reports:
                self._hear(stream, report)
                await self.tell()
        finally:
            del self._streams[stream]
            self._book.leave(stream)

    def end_when(self, is_draining: Callable[[], bool]) -> None:
        """From when ``is_draining`` says so, end streams instead of waiting for them to end: Envoys find another
        service, and go on with their shares meanwhile."""
        self._is_draining = is_draining

    async def tell(self) -> None:
        """Tell every Envoy what has changed for it."""
        if self._is_draining():
            for context in self._streams.values():
                context.cancel()
            return
        async with self._telling:  # so that who gets less is told before who gets more
            for stream, key, bucket in list(self._book.news()):
                context = self._streams.get(stream)
                if context is None:
                    continue
                try:
                    async with asyncio.timeout(WRITE_SECONDS):
                        await context.write(_assignment(key, bucket))
                except (TimeoutError, grpc.aio.UsageError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    context.cancel()

    def _hear(self, stream: str, report: RateLimitQuotaUsageReports) -> None:
        for usage in report.bucket_quota_usages:
            quota = Quota.of(usage.bucket_id.bucket.get(QUOTA_ENTRY, ""))
            if quota is None:
                continue
            requests = usage.num_requests_allowed + usage.num_requests_denied
            elapsed = usage.time_elapsed.seconds + usage.time_elapsed.nanos / 1e9
            self._book.report(stream, quota, requests=requests, seconds=elapsed)


def _assignment(key: Quota, bucket: Bucket | None) -> RateLimitQuotaResponse:
    response = RateLimitQuotaResponse()
    action = response.bucket_action.add()
    action.bucket_id.bucket[QUOTA_ENTRY] = key.text
    if bucket is None:
        action.abandon_action.SetInParent()
        return response
    action.quota_assignment_action.assignment_time_to_live.FromSeconds(LEASE_SECONDS)
    tokens = action.quota_assignment_action.rate_limit_strategy.token_bucket
    tokens.max_tokens = bucket.max_tokens
    tokens.tokens_per_fill.value = bucket.tokens_per_fill
    tokens.fill_interval.FromSeconds(bucket.fill_seconds)
    return response
