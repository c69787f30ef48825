"""The service over a real gRPC connection on a Unix socket, counting in a real Valkey."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
import pytest
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from google.protobuf.json_format import ParseDict

from ratelimit_service.decision import Decision
from ratelimit_service.matching import Descriptor
from servicekit.contracts import Limit
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import Rig, limiter_on, policy_of, running_store, serving

PER_USER = Limit(name="per-user", by="user", requests=20, period_seconds=60, burst=3)
PER_KEY = Limit(name="per-key", by="api_key", requests=20, period_seconds=60, burst=5)


def question(*pairs: tuple[str, str, str], domain: str = "gateway") -> RateLimitRequest:
    """What Envoy asks: limit, by and caller for each descriptor."""
    descriptors = [
        {"entries": [{"key": "limit", "value": name}, {"key": by, "value": caller}]} for name, by, caller in pairs
    ]
    return ParseDict({"domain": domain, "descriptors": descriptors}, RateLimitRequest())


ALICE = ("per-user", "user", "alice")


@pytest.fixture
async def rig(valkey: Valkey, tmp_path: Path) -> AsyncIterator[Rig]:
    """The service with two limits."""
    policy = policy_of(PER_USER, PER_KEY)
    async with running_store(valkey.url) as store, serving(limiter_on(store, policy), policy, tmp_path / "s") as made:
        yield made


async def ask(rig: Rig, request: RateLimitRequest) -> RateLimitResponse:
    """One call."""
    return await rig.stub.ShouldRateLimit(request)


def code(answer: RateLimitResponse) -> str:
    """The answer in a word."""
    return str(RateLimitResponse.Code.Name(answer.overall_code))


async def test_a_caller_gets_the_burst_and_then_a_problem(rig: Rig) -> None:
    """Three times yes, then no, with what the client needs to know; another caller is not touched."""
    answers = [await ask(rig, question(ALICE)) for _ in range(4)]
    assert [code(answer) for answer in answers] == ["OK"] * 3 + ["OVER_LIMIT"]
    headers = {header.key: header.value for header in answers[3].response_headers_to_add}
    assert headers["retry-after"] == "3"
    assert headers["ratelimit-limit"] == "3"
    assert json.loads(answers[3].raw_body)["status"] == 429
    assert answers[3].statuses[0].duration_until_reset.seconds == 2
    assert code(await ask(rig, question(("per-user", "user", "bob")))) == "OK"


async def test_every_descriptor_has_its_status(rig: Rig) -> None:
    """In order; a refused request shows the other bucket untouched."""
    for _ in range(3):
        await ask(rig, question(ALICE))
    answer = await ask(rig, question(("per-key", "api_key", "k1"), ("gone", "user", "x"), ALICE))
    assert [RateLimitResponse.Code.Name(status.code) for status in answer.statuses] == ["OK", "OK", "OVER_LIMIT"]
    assert [status.limit_remaining for status in answer.statuses] == [5, 0, 0]
    assert [status.current_limit.name for status in answer.statuses] == ["per-key", "", "per-user"]


@pytest.mark.parametrize(("common", "own", "left"), [(0, None, 2), (2, None, 1), (2, 1, 2), (2, 0, 3)])
async def test_hits(rig: Rig, common: int, own: int | None, left: int) -> None:
    """A descriptor's own number wins over the request's; none at all means one; 0 of its own only looks."""
    request = question(ALICE)
    request.hits_addend = common
    if own is not None:
        request.descriptors[0].hits_addend.value = own
    assert (await ask(rig, request)).statuses[0].limit_remaining == left


@pytest.mark.parametrize(
    "malformed", [question(ALICE, domain=""), question(), question(*[ALICE] * 65)], ids=["domain", "none", "too many"]
)
async def test_malformed_questions_are_errors(rig: Rig, malformed: RateLimitRequest) -> None:
    """As gRPC errors, so that the route's failure mode decides."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(rig, malformed)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_without_a_policy_there_is_no_answer(rig: Rig) -> None:
    """Not even yes: the route's failure mode decides until the control plane was heard."""
    rig.policy.applied = False
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(rig, question(ALICE))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


class Faulty:
    """A decider with a bug."""

    async def decide(self, domain: str, descriptors: Sequence[Descriptor]) -> Decision:
        """Raises."""
        raise ZeroDivisionError


async def test_a_fault_is_an_error_and_no_answer(tmp_path: Path) -> None:
    """Envoy would let a reply with code UNKNOWN through; a gRPC error leaves it to the failure mode."""
    async with serving(Faulty(), policy_of(), tmp_path / "s") as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(rig, question(ALICE))
    assert caught.value.code() == grpc.StatusCode.UNKNOWN


async def test_calls_that_arrive_together_are_decided_together(rig: Rig, valkey: Valkey) -> None:
    """A hundred at once for twenty callers: three each, and fewer calls to the server."""
    before = int(valkey.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"])
    answers = await asyncio.gather(
        *(ask(rig, question(("per-user", "user", f"u{number % 20}"))) for number in range(100))
    )
    assert sum(code(answer) == "OK" for answer in answers) == 60
    calls = int(valkey.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"]) - before
    print(f"{calls} calls to the store for 100 requests")
    assert calls < 100
