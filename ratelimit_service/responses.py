"""A :class:`~ratelimit_service.decision.Decision` in Envoy's words, and in the client's."""

from __future__ import annotations

from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse

from ratelimit_service.decision import Decision, Verdict
from servicekit.buckets.bucket import MICROSECONDS
from servicekit.problems import MEDIA_TYPE, problem

_UINT32 = 2**32 - 1
_UNITS = dict(RateLimitResponse.RateLimit.Unit.items())


def response(decision: Decision) -> RateLimitResponse:
    """The answer to Envoy, with what the client is told in its headers and body.

    ``ratelimit-limit`` is the burst, ``ratelimit-remaining`` the tokens left of it and ``ratelimit-reset`` the seconds
    until they are all back, or, in a refusal, until this request would be let through; all of the tightest limit.
    A limit by address tells nothing unless it refuses: it is asked for before the others, in a call of its own, and
    Envoy would add both answers' headers to one response.
    """
    answer = RateLimitResponse(overall_code=RateLimitResponse.OK if decision.allowed else RateLimitResponse.OVER_LIMIT)
    for verdict in decision.verdicts:
        _add_status(answer, verdict)
    tightest = decision.tightest
    if tightest is not None and (not decision.allowed or tightest.limit.by != "ip"):
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
        code=RateLimitResponse.OK if level.fits else RateLimitResponse.OVER_LIMIT,
        limit_remaining=min(level.remaining, _UINT32),
    )
    current = status.current_limit
    current.name, current.unit = limit.name, _UNITS[limit.unit]
    current.requests_per_unit = min(limit.requests_per_unit, _UINT32)
    until = status.duration_until_reset
    until.seconds, microseconds = divmod(level.reset_us, MICROSECONDS)
    until.nanos = microseconds * 1000


def _add_headers(answer: RateLimitResponse, tightest: Verdict, *, refused: bool) -> None:
    reset = seconds_up(tightest.level.reset_us)
    add = answer.response_headers_to_add.add
    add(key="ratelimit-limit", value=str(tightest.limit.shape.burst))
    add(key="ratelimit-remaining", value=str(tightest.level.remaining))
    add(key="ratelimit-reset", value=str(reset))
    if refused:
        add(key="retry-after", value=str(reset))
        add(key="content-type", value=MEDIA_TYPE)
        answer.raw_body = _body(tightest, reset)
        # for the access log; Envoy keeps it under envoy.filters.http.ratelimit
        answer.dynamic_metadata.update({"limit": tightest.limit.name, "by": tightest.limit.by})


def _body(tightest: Verdict, retry_after: int) -> bytes:
    name = tightest.limit.name
    return problem(
        429,
        "rate-limit-exceeded",
        f"The rate limit {name} is used up; try again in {retry_after} s.",
        limit=name,
        retry_after=retry_after,
    )
