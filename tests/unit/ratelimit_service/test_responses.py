"""What Envoy and the client are told."""

from __future__ import annotations

import json

import pytest
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse
from google.protobuf.json_format import MessageToDict

from ratelimit_service.decision import Verdict, decide
from ratelimit_service.responses import response, seconds_up
from servicekit.buckets.takes import Level
from tests.unit.ratelimit_service.builders import compiled, limit

PER_USER = compiled(limit(requests=100, burst=20))


def headers(answer: RateLimitResponse) -> dict[str, str]:
    """The headers that Envoy adds to the response."""
    return {header.key: header.value for header in answer.response_headers_to_add}


def test_an_allowed_request() -> None:
    """Figures in the statuses and the headers, nothing else."""
    answer = response(decide([Verdict(PER_USER, Level(True, 19, 600_001)), None], "store"))
    assert MessageToDict(answer, preserving_proto_field_name=True) == {
        "overall_code": "OK",
        "statuses": [
            {
                "code": "OK",
                "current_limit": {"name": "per-user", "requests_per_unit": 100, "unit": "MINUTE"},
                "limit_remaining": 19,
                "duration_until_reset": "0.600001s",
            },
            {"code": "OK"},
        ],
        "response_headers_to_add": [
            {"key": "ratelimit-limit", "value": "20"},
            {"key": "ratelimit-remaining", "value": "19"},
            {"key": "ratelimit-reset", "value": "1"},
            {"key": "ratelimit-policy", "value": '"per-user";q=20;w=12'},
            {"key": "ratelimit", "value": '"per-user";r=19;t=1'},
        ],
    }


def test_a_refused_request() -> None:
    """Retry-After, a problem document, and the limit's name for the access log."""
    answer = response(decide([Verdict(PER_USER, Level(False, 0, 2_000_001))], "store"))
    assert answer.overall_code == RateLimitResponse.OVER_LIMIT
    assert answer.statuses[0].code == RateLimitResponse.OVER_LIMIT
    assert headers(answer) == {
        "ratelimit-limit": "20",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "3",
        "ratelimit-policy": '"per-user";q=20;w=12',
        "ratelimit": '"per-user";r=0;t=3',
        "retry-after": "3",
        "content-type": "application/problem+json",
    }
    assert json.loads(answer.raw_body) == {
        "type": "urn:gateway:problem:rate-limit-exceeded",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "The rate limit per-user is used up; try again in 3 s.",
        "limit": "per-user",
        "retry_after": 3,
    }
    assert MessageToDict(answer.dynamic_metadata) == {"limit": "per-user", "by": "user", "remaining": 0}


def test_a_limit_by_address_speaks_only_when_it_refuses() -> None:
    """Otherwise a response under two limits would have every header twice."""
    per_ip = compiled(limit("per-ip", "ip"))
    assert headers(response(decide([Verdict(per_ip, Level(True, 1, 1))], "store"))) == {}
    assert "ratelimit-limit" in headers(response(decide([Verdict(per_ip, Level(False, 0, 1))], "store")))


def test_retry_after_is_never_zero() -> None:
    """A client that waits no time at all would be refused again."""
    answer = response(decide([Verdict(PER_USER, Level(False, 0, 1))], "store"))
    assert headers(answer)["retry-after"] == "1"
    assert seconds_up(0) == 0
    assert seconds_up(1_000_000) == 1


def test_a_request_without_limits_has_no_figures() -> None:
    """Nothing is known, so nothing is said."""
    answer = response(decide([None], None))
    assert answer.overall_code == RateLimitResponse.OK
    assert headers(answer) == {}


def test_numbers_beyond_the_protocols_are_cut() -> None:
    """Its fields hold 32 bits."""
    huge = compiled(limit(requests=10**10, period_seconds=1, burst=10**10))
    answer = response(decide([Verdict(huge, Level(True, 10**10, 0))], "store"))
    assert answer.statuses[0].limit_remaining == 2**32 - 1
    assert answer.statuses[0].current_limit.requests_per_unit == 2**32 - 1


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("separate", {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"}),
        ("structured", {"ratelimit", "ratelimit-policy"}),
        ("none", set()),
    ],
)
def test_which_fields_tell(fields: str, names: set[str]) -> None:
    """As the limit says; when to come again is in every refusal."""
    made = compiled(limit(fields=fields))
    assert set(headers(response(decide([Verdict(made, Level(True, 1, 1))], "store")))) == names
    refused = headers(response(decide([Verdict(made, Level(False, 0, 1))], "store")))
    assert set(refused) == names | {"retry-after", "content-type"}


def test_the_policy_of_a_window_is_its_length() -> None:
    """Of a bucket, the time in which it fills."""
    made = compiled(limit(algorithm="fixed_window", requests=5, period_seconds=3600))
    told = headers(response(decide([Verdict(made, Level(True, 4, 1))], "store")))
    assert told["ratelimit-policy"] == '"per-user";q=5;w=3600'


def test_a_shadow_is_not_told_of() -> None:
    """Neither in the code nor in a field."""
    made = compiled(limit(when_exceeded="shadow"))
    answer = response(decide([Verdict(made, Level(False, 0, 1))], "store"))
    assert (answer.overall_code, answer.statuses[0].code) == (RateLimitResponse.OK, RateLimitResponse.OK)
    assert headers(answer) == {}


def test_the_upstream_hears_of_degraded_requests() -> None:
    """Of all limits that let them through; the client hears of none."""
    made = [compiled(limit(name, when_exceeded="degrade")) for name in "abc"]
    verdicts = [Verdict(one, Level(one.name == "b", 0, 1)) for one in made]
    answer = response(decide(verdicts, "store"))
    assert answer.overall_code == RateLimitResponse.OK
    assert [(one.key, one.value) for one in answer.request_headers_to_add] == [("x-gateway-degraded", "a,c")]
    assert headers(answer) == {}


def test_a_limit_under_which_requests_wait_speaks_only_when_it_refuses() -> None:
    """It is asked for in a call of its own."""
    made = compiled(limit(when_exceeded="queue", max_wait_seconds=1, max_waiting=1))
    assert headers(response(decide([Verdict(made, Level(True, 1, 1))], "store"))) == {}
