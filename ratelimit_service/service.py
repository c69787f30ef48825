"""``envoy.service.ratelimit.v3.RateLimitService``: Envoy's question in, a decision out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never, Protocol

import grpc
import grpc.aio
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse

from ratelimit_service.decision import Decision
from ratelimit_service.matching import Descriptor
from ratelimit_service.policy import PolicyBook
from ratelimit_service.responses import response

MAX_DESCRIPTORS = 64
"""In one request; keeps a single request within one call to the store."""


class Decider(Protocol):
    """What decides."""

    async def decide(self, domain: str, descriptors: Sequence[Descriptor]) -> Decision:
        """Take the tokens that the descriptors ask for: all of them or none."""
        ...


class RateLimitService:
    """The gRPC edge. What can't be decided is a gRPC error, so that the route's failure mode decides:
    Envoy lets a reply with ``Code.UNKNOWN`` through whatever that mode says.
    """

    def __init__(self, *, limiter: Decider, policy: PolicyBook) -> None:
        self._limiter = limiter
        self._policy = policy

    async def ShouldRateLimit(  # noqa: N802  # named by the protocol
        self, request: RateLimitRequest, context: grpc.aio.ServicerContext
    ) -> RateLimitResponse:
        """Answer one question.

        gRPC status: ``INVALID_ARGUMENT`` without a domain, without or with too many descriptors; ``UNAVAILABLE``
        before the first policy has arrived; ``UNKNOWN``, which gRPC makes of any exception, for a fault of our own.
        """
        if not request.domain or not 0 < len(request.descriptors) <= MAX_DESCRIPTORS:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "a domain and 1 to 64 descriptors are needed")
        if not self._policy.applied:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, "no policy yet")
        return response(await self._limiter.decide(request.domain, descriptors(request)))


def descriptors(request: RateLimitRequest) -> list[Descriptor]:
    """The request's descriptors with the hits each adds: its own, else the request's, else 1."""
    common = request.hits_addend or 1
    return [
        Descriptor(
            tuple((entry.key, entry.value) for entry in descriptor.entries),
            descriptor.hits_addend.value if descriptor.HasField("hits_addend") else common,
        )
        for descriptor in request.descriptors
    ]


async def _abort(context: grpc.aio.ServicerContext, code: grpc.StatusCode, why: str) -> Never:
    await context.abort(code, why)
    raise AssertionError("abort() always raises")
