"""A :class:`~ratelimit_service.decision.Decision` in Envoy's words, and in the client's."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from ratelimit_service.bucket import MICROSECONDS
from ratelimit_service.decision import Decision, Verdict
from servicekit.problems import MEDIA_TYPE, problem

_UINT32 = 2**32 - 1
_UNITS = dict(RateLimitResponse.RateLimit.Unit.items())


def response(decision: Decision) -> RateLimitResponse:
    """The answer to Envoy, with what the client is told in its headers and body.

    ``ratelimit-limit`` is the burst, ``ratelimit-remaining`` the tokens left of it and ``ratelimit-reset`` the seconds
    until they are all back, or, in a refusal, until this request would be let through; all of the tightest limit.
    """
    answer = RateLimitResponse(
        overall_code=RateLimitResponse.OK if decision.allowed else RateLimitResponse.OVER_LIMIT,
        statuses=[_status(verdict) for verdict in decision.verdicts],
    )
    tightest = decision.tightest
    if tightest is None:
        return answer
    reset = seconds_up(tightest.level.reset_us)
    headers = [
        HeaderValue(key="ratelimit-limit", value=str(tightest.limit.shape.burst)),
        HeaderValue(key="ratelimit-remaining", value=str(tightest.level.remaining)),
        HeaderValue(key="ratelimit-reset", value=str(reset)),
    ]
    if not decision.allowed:
        headers.append(HeaderValue(key="retry-after", value=str(max(1, reset))))
        headers.append(HeaderValue(key="content-type", value=MEDIA_TYPE))
        answer.raw_body = _body(tightest, max(1, reset))
        answer.dynamic_metadata.CopyFrom(_metadata(tightest))
    answer.response_headers_to_add.extend(headers)
    return answer


def seconds_up(microseconds: int) -> int:
    """Whole seconds, rounded up."""
    return -(-microseconds // MICROSECONDS)


def _status(verdict: Verdict | None) -> RateLimitResponse.DescriptorStatus:
    if verdict is None:
        return RateLimitResponse.DescriptorStatus(code=RateLimitResponse.OK)
    limit, level = verdict.limit, verdict.level
    seconds, microseconds = divmod(level.reset_us, MICROSECONDS)
    return RateLimitResponse.DescriptorStatus(
        code=RateLimitResponse.OK if level.fits else RateLimitResponse.OVER_LIMIT,
        current_limit=RateLimitResponse.RateLimit(
            name=limit.name, requests_per_unit=min(limit.requests_per_unit, _UINT32), unit=_UNITS[limit.unit]
        ),
        limit_remaining=min(level.remaining, _UINT32),
        duration_until_reset=Duration(seconds=seconds, nanos=microseconds * 1000),
    )


def _body(tightest: Verdict, retry_after: int) -> bytes:
    name = tightest.limit.name
    return problem(
        429,
        "rate-limit-exceeded",
        f"The rate limit {name} is used up; try again in {retry_after} s.",
        limit=name,
        retry_after=retry_after,
    )


def _metadata(tightest: Verdict) -> Struct:
    """For the access log; Envoy keeps it under ``envoy.filters.http.ratelimit``."""
    metadata = Struct()
    metadata.update({"limit": tightest.limit.name, "by": tightest.limit.by})
    return metadata
