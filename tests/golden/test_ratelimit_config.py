"""Files of the usual Go service in, its answers out: the examples of its documentation, and mistakes."""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse

from ratelimit_service.local_store import LocalStore
from ratelimit_service.rules.errors import RulesError
from ratelimit_service.rules.loading import load
from ratelimit_service.rules.service import RuleService
from ratelimit_service.rules.tree import Domains
from tests.harness.golden import Golden, cases, to_yaml
from tests.unit.ratelimit_service.builders import Clock, rule_limiter


@cases("ratelimit_config", "*.yaml")
def test_a_file_means_these_answers(case: Path, golden: Golden) -> None:
    """Every request of the case in turn, at one moment; or every mistake with file, line and column."""
    written = yaml.safe_load(case.read_text(encoding="utf-8"))
    try:
        domains = load({"rules.yaml": written["config"].encode()})
    except RulesError as error:
        golden.check_file(
            case, to_yaml({"config": written["config"], "mistakes": [str(one) for one in error.mistakes]})
        )
        return
    asks = asyncio.run(_answered(domains, written["asks"]))
    golden.check_file(case, to_yaml({"config": written["config"], "asks": asks}))


async def _answered(domains: Domains, asks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    clock = Clock(1_800_000_000.0)
    service = RuleService(rule_limiter(domains, LocalStore(clock_us=clock.microseconds), clock))
    answered = []
    for ask in asks:
        request = RateLimitRequest(domain=ask["domain"], hits_addend=ask.get("hits", 0))
        for descriptor in ask["ask"]:
            made = request.descriptors.add()
            for key, value in (entry.split("=", 1) for entry in descriptor.split(", ")):
                made.entries.add(key=key, value=value)
        answers = [_line(await service.answer(request)) for _ in range(ask.get("times", 1))]
        told = [f"{len(list(same))} x {line}" for line, same in groupby(answers)]
        answered.append(
            {name: ask[name] for name in ("domain", "ask", "hits", "times") if name in ask} | {"answers": told}
        )
    return answered


def _line(answer: RateLimitResponse) -> str:
    code = RateLimitResponse.Code.Name
    statuses = []
    for status in answer.statuses:
        text = code(status.code)
        if status.HasField("current_limit"):
            limit = status.current_limit
            text += f" of {limit.requests_per_unit} a {RateLimitResponse.RateLimit.Unit.Name(limit.unit).lower()}"
            text += f" for {status.duration_until_reset.seconds} s"
        elif status.limit_remaining:
            text += f" with {status.limit_remaining} left"
        statuses.append(text)
    return f"{code(answer.overall_code)} ({'; '.join(statuses)})"
