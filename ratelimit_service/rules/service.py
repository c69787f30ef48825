"""``envoy.service.ratelimit.v3.RateLimitService`` by the rules of files, over gRPC and as JSON over HTTP."""

from __future__ import annotations

from typing import Never

import grpc
import grpc.aio
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import RateLimitDescriptor
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from envoy.type.v3.ratelimit_unit_pb2 import RateLimitUnit

from ratelimit_service.rules.limiter import Answer, Outcome, RuleLimiter
from ratelimit_service.rules.matching import Asked
from ratelimit_service.rules.tree import UNIT_SECONDS, RuleLimit
from servicekit.buckets.bucket import MICROSECONDS

MAX_DESCRIPTORS = 64
"""In one request."""

_UINT32 = 2**32 - 1
_UNITS = dict(RateLimitResponse.RateLimit.Unit.items())


class RequestError(Exception):
    """A question that has no answer; the text says why."""


class RuleService:
    """Envoy's question in, the rules' answer out."""

    def __init__(self, limiter: RuleLimiter) -> None:
        self._limiter = limiter

    async def answer(self, request: RateLimitRequest) -> RateLimitResponse:
        """Decide.

        Raises:
            RequestError: there is no domain, no or too many descriptors, or a limit without a unit.
        """
        if not request.domain or not 0 < len(request.descriptors) <= MAX_DESCRIPTORS:
            raise RequestError(f"a domain and 1 to {MAX_DESCRIPTORS} descriptors are needed")
        common = request.hits_addend or 1
        asked = [_asked(descriptor, common) for descriptor in request.descriptors]
        return response(request, await self._limiter.decide(request.domain, asked))

    async def ShouldRateLimit(  # noqa: N802  # named by the protocol
        self, request: RateLimitRequest, context: grpc.aio.ServicerContext
    ) -> RateLimitResponse:
        """Answer one question; ``INVALID_ARGUMENT`` if it has no answer."""
        try:
            return await self.answer(request)
        except RequestError as error:
            await _abort(context, str(error))


def _asked(descriptor: RateLimitDescriptor, common: int) -> Asked:
    return Asked(
        tuple((entry.key, entry.value) for entry in descriptor.entries),
        descriptor.hits_addend.value if descriptor.HasField("hits_addend") else common,
        _override(descriptor.limit) if descriptor.HasField("limit") else None,
    )


def _override(limit: RateLimitDescriptor.RateLimitOverride) -> RuleLimit:
    unit = RateLimitUnit.Name(limit.unit) if limit.unit in RateLimitUnit.values() else ""
    if unit not in UNIT_SECONDS:
        raise RequestError("the limit of a descriptor needs a unit")
    return RuleLimit(unit=unit, requests_per_unit=limit.requests_per_unit)


def response(request: RateLimitRequest, answer: Answer) -> RateLimitResponse:
    """The answer in Envoy's words."""
    made = RateLimitResponse(overall_code=RateLimitResponse.OK if answer.allowed else RateLimitResponse.OVER_LIMIT)
    for outcome in answer.outcomes:
        _add_status(made, outcome)
    if any(outcome is not None and outcome.ruled.limit.quota for outcome in answer.outcomes):
        made.dynamic_metadata.update(_quota_metadata(request, answer))
    return made


def _add_status(made: RateLimitResponse, outcome: Outcome | None) -> None:
    status = made.statuses.add(code=RateLimitResponse.OK)
    if outcome is None:
        return
    limit, level = outcome.ruled.limit, outcome.level
    if level is None:
        status.limit_remaining = _UINT32
        return
    if outcome.over and not limit.shadow:
        status.code = RateLimitResponse.OVER_LIMIT
    status.limit_remaining = min(level.remaining, _UINT32)
    status.current_limit.requests_per_unit = limit.requests_per_unit
    status.current_limit.unit = _UNITS[limit.unit]
    status.duration_until_reset.seconds = -(-level.reset_us // MICROSECONDS)


def _quota_metadata(request: RateLimitRequest, answer: Answer) -> dict[str, object]:
    """For whoever chooses a backend by what is left: which descriptors are over."""
    return {
        "domain": request.domain,
        "descriptors": [
            {"entries": [f"{entry.key}={entry.value}" for entry in descriptor.entries]}
            for descriptor in request.descriptors
        ],
        "quotaModeEnabled": True,
        "quotaModeViolations": [
            place
            for place, outcome in enumerate(answer.outcomes)
            if outcome is not None and outcome.over and outcome.ruled.limit.quota
        ],
    }


async def _abort(context: grpc.aio.ServicerContext, why: str) -> Never:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, why)
    raise AssertionError("abort() always raises")
