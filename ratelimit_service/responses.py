"""A :class:`~ratelimit_service.decision.Decision` in Envoy's words, and in the client's."""

from __future__ import annotations

from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse

from ratelimit_service.decision import Decision, Verdict
from servicekit.buckets.bucket import MICROSECONDS
from servicekit.contracts.data_plane import DEGRADED_HEADER
from servicekit.problems import MEDIA_TYPE, problem

_UINT32 = 2**32 - 1
_SEPARATE = ("both", "separate")
_STRUCTURED = ("both", "structured")
_UNITS = dict(RateLimitResponse.RateLimit.Unit.items())


def response(decision: Decision) -> RateLimitResponse:
    """The answer to Envoy, with what the client is told in its headers and body.

    ``ratelimit-limit`` is the burst, ``ratelimit-remaining`` the tokens left of it and ``ratelimit-reset`` the seconds
    until they are all back, or, in a refusal, until this request would be let through; all of the tightest limit.
    ``ratelimit-policy`` and ``ratelimit`` (draft-ietf-httpapi-ratelimit-headers-10) say the same.
    A limit by address, or one under which requests wait, tells nothing unless it refuses: it is asked for in a call of
    its own, and Envoy would add both answers' headers to one response.
    """
    answer = RateLimitResponse(overall_code=RateLimitResponse.OK if decision.allowed else RateLimitResponse.OVER_LIMIT)
    for verdict in decision.verdicts:
        _add_status(answer, verdict)
    degraded = [verdict.limit.name for verdict in decision.verdicts if verdict is not None and _degrades(verdict)]
    if degraded and decision.allowed:
        answer.request_headers_to_add.add(key=DEGRADED_HEADER, value=",".join(degraded))
    tightest = decision.tightest
    if tightest is not None and (not decision.allowed or not tightest.limit.is_apart):
        _add_headers(answer, tightest, refused=not decision.allowed)
    return answer


def seconds_up(microseconds: int) -> int:
    """Whole seconds, rounded up."""
    return -(-microseconds // MICROSECONDS)


# Parts are added in place: handing finished messages over copies them, which doubles the cost of an answer.


def _add_status(answer: RateLimitResponse, verdict: Verdict | None) -> None:
    if verdict is None:
        answer.statuses.add(code=RateLimitResponse.OK)
        return
    limit, level = verdict
    status = answer.statuses.add(
        code=RateLimitResponse.OK if level.fits or not limit.refuses else RateLimitResponse.OVER_LIMIT,
        limit_remaining=min(level.remaining, _UINT32),
    )
    current = status.current_limit
    current.name, current.unit = limit.name, _UNITS[limit.unit]
    current.requests_per_unit = min(limit.requests_per_unit, _UINT32)
    until = status.duration_until_reset
    until.seconds, microseconds = divmod(level.reset_us, MICROSECONDS)
    until.nanos = microseconds * 1000


def _degrades(verdict: Verdict) -> bool:
    return not verdict.level.fits and verdict.limit.when_exceeded == "degrade"


def _add_headers(answer: RateLimitResponse, tightest: Verdict, *, refused: bool) -> None:
    limit, level = tightest
    burst, reset = limit.shape.burst, seconds_up(level.reset_us)
    add = answer.response_headers_to_add.add
    if limit.fields in _SEPARATE:
        add(key="ratelimit-limit", value=str(burst))
        add(key="ratelimit-remaining", value=str(level.remaining))
        add(key="ratelimit-reset", value=str(reset))
    if limit.fields in _STRUCTURED:
        add(key="ratelimit-policy", value=limit.policy_field)
        add(key="ratelimit", value=f'"{limit.name}";r={level.remaining};t={reset}')
    if refused:
        add(key="retry-after", value=str(reset))
        add(key="content-type", value=MEDIA_TYPE)
        answer.raw_body = _body(tightest, reset)
        # for the access log; Envoy keeps it under envoy.filters.http.ratelimit
        answer.dynamic_metadata.update({"limit": limit.name, "by": limit.by, "remaining": level.remaining})


def _body(tightest: Verdict, retry_after: int) -> bytes:
    name = tightest.limit.name
    return problem(
        429,
        "rate-limit-exceeded",
        f"The rate limit {name} is used up; try again in {retry_after} s.",
        limit=name,
        retry_after=retry_after,
    )
