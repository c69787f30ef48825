"""Other amounts for single callers: which holds for whom, until when, and what it leaves of what was counted."""

from __future__ import annotations

from typing import Literal

import pytest

from ratelimit_service.responses import response
from servicekit.contracts import Amount, ContractError, LimitOverrides, LimitPolicy, Override
from servicekit.contracts.limit_overrides import override_id
from tests.unit.ratelimit_service.builders import limit, sample
from tests.unit.ratelimit_service.test_limiter import Bench, BrokenStore


def override(
    caller: str = "alice",
    ruling: Literal["amount", "unlimited", "denied"] = "amount",
    *,
    of: str = "per-user",
    requests: int = 5,
    period_seconds: float = 3600,
    expires_at: float | None = None,
) -> Override:
    """One for a caller of the limit that the builders make."""
    amount = Amount(requests=requests, period_seconds=period_seconds, burst=requests)
    return Override(
        id=override_id(of, (caller,)),
        limit=of,
        caller=(caller,),
        ruling=ruling,
        amount=amount if ruling == "amount" else None,
        expires_at=expires_at,
    )


def say(bench: Bench, *overrides: Override) -> None:
    """These there are, and no others."""
    bench.overrides.put({"aa": LimitOverrides(overrides=overrides)}, frozenset(), True)


async def allowed(bench: Bench, times: int, caller: str = "alice") -> int:
    """How many of so many requests pass."""
    return sum([(await bench.ask("per-user", caller=caller)).allowed for _ in range(times)])


async def test_a_caller_has_another_amount_and_others_do_not() -> None:
    """Three for everybody, five for alice."""
    bench = Bench(limit(burst=3, requests=3, period_seconds=3600))
    say(bench, override())
    assert await allowed(bench, 8) == 5
    assert await allowed(bench, 8, "bob") == 3
    assert len(bench.overrides) == 1


async def test_a_refused_caller_is_let_in_at_once() -> None:
    """Though the refusal was remembered; what was taken stays taken, also when the override goes."""
    bench = Bench(limit(burst=3, requests=3, period_seconds=3600))
    assert await allowed(bench, 5) == 3
    say(bench, override())
    assert await allowed(bench, 5) == 2
    say(bench, override("alice", "unlimited"))
    assert await allowed(bench, 5) == 5
    bench.overrides.put({}, frozenset({"aa"}), True)
    assert await allowed(bench, 5) == 0


async def test_what_was_remembered_under_an_amount_does_not_outlive_it() -> None:
    """Tokens flow in under the larger amount; the smaller one, come back, must not refuse from before that."""
    bench = Bench(limit(burst=1, requests=1, period_seconds=3600))
    assert await allowed(bench, 2) == 1
    say(bench, override(requests=3600))
    assert await allowed(bench, 1) == 1
    bench.clock.now += 2
    say(bench)
    assert await allowed(bench, 1) == 1


async def test_every_change_empties_the_memory() -> None:
    """Of any override, there or gone; what is said again changes nothing."""
    bench = Bench(limit(burst=1))
    for overrides in ((override("bob"),), (override("bob", requests=6),), ()):
        assert await allowed(bench, 2) == 1
        assert len(bench.refused) == 1
        say(bench, *overrides)
        assert len(bench.refused) == 0
        bench.clock.now += 2
    assert await allowed(bench, 2) == 1
    say(bench)
    assert len(bench.refused) == 1


async def test_a_lowered_caller_is_refused_at_once() -> None:
    """A smaller bucket holds less from now on."""
    bench = Bench(limit(burst=10, requests=10, period_seconds=3600))
    assert await allowed(bench, 2) == 2
    say(bench, override(requests=2))
    assert await allowed(bench, 3) == 0


async def test_unlimited_and_denied_ask_nobody() -> None:
    """Neither the store nor the memory; the answer to the former tells no figures."""
    bench = Bench(limit(burst=1))
    say(bench, override("alice", "unlimited"), override("mallory", "denied"))
    assert await allowed(bench, 5) == 5
    assert await allowed(bench, 5, "mallory") == 0
    assert bench.counting.asked == 0
    assert not response(await bench.ask("per-user")).response_headers_to_add
    refused = response(await bench.ask("per-user", caller="mallory"))
    told = {header.key: header.value for header in refused.response_headers_to_add}
    assert told["retry-after"] == "3600"
    assert sample(bench.registry, "gateway_ratelimit_decisions_total", outcome="over_limit", source="override") == 6
    assert sample(bench.registry, "gateway_ratelimit_unknown_limits_total") == 0


async def test_a_denied_request_takes_nothing_of_other_limits() -> None:
    """All or nothing; and an unlimited one takes what it should."""
    bench = Bench(limit(burst=1), limit("other", burst=1, requests=1, period_seconds=3600))
    say(bench, override("alice", "denied"), override("bob", "unlimited"))
    assert not (await bench.ask("per-user", "other")).allowed
    assert (await bench.ask("other")).allowed
    decision = await bench.ask("per-user", "other", caller="bob")
    assert decision.allowed
    assert decision.tightest is not None
    assert decision.tightest.limit.name == "other"
    assert not (await bench.ask("per-user", "other", caller="bob")).allowed
    say(bench, override("bob", "unlimited"), override("bob", "unlimited", of="other"))
    assert (await bench.ask("per-user", "other", caller="bob")).tightest is None


async def test_it_ends_by_itself() -> None:
    """Nobody has to tell; until then a denied caller is told when."""
    bench = Bench(limit(burst=1, requests=1, period_seconds=3600))
    say(bench, override("alice", "denied", expires_at=bench.clock.now + 10), override("bob", "unlimited"))
    refused = await bench.ask("per-user")
    assert refused.tightest is not None
    assert refused.tightest.level.reset_us == 10_000_000
    bench.clock.now += 10
    assert await allowed(bench, 2) == 1


async def test_it_outlives_a_change_of_the_limit() -> None:
    """With its own amount, and what the limit says of all else."""
    bench = Bench(limit(burst=1))
    say(bench, override())
    assert await allowed(bench, 1) == 1
    bench.policy.apply(LimitPolicy(limits=(limit(burst=2, on_store_failure="deny"),)))
    decision = await bench.ask("per-user")
    assert decision.tightest is not None
    assert decision.tightest.level.remaining == 3
    assert decision.tightest.limit.on_store_failure == "deny"


async def test_without_the_store_it_holds_too() -> None:
    """In the bucket of this process."""
    bench = Bench(limit(burst=1), store=BrokenStore(available=False))
    say(bench, override())
    assert await allowed(bench, 8) == 5


async def test_an_address_is_named_as_it_is_counted() -> None:
    """By its network."""
    bench = Bench(limit("per-ip", "ip", burst=1))
    say(bench, override("2001:db8::/64", "denied", of="per-ip"))
    from tests.unit.ratelimit_service.builders import descriptor

    asked = [descriptor("per-ip", "ip", "2001:db8::7")]
    assert not (await bench.limiter.decide("gateway", asked)).allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"ruling": "amount"},
        {"ruling": "denied", "amount": {"requests": 1, "period_seconds": 1, "burst": 1}},
        {"amount": {"requests": 1, "period_seconds": 3e7, "burst": 1_000_000_000}},
        {"caller": []},
    ],
)
def test_what_cannot_be_counted_is_refused(wrong: dict[str, object]) -> None:
    """Before anything changes: the service keeps its last good part."""
    import json

    good = {"id": "a", "limit": "b", "caller": ["c"], "ruling": "unlimited" if "amount" not in wrong else "amount"}
    with pytest.raises(ContractError):
        LimitOverrides.decode(json.dumps({"overrides": [good | wrong]}).encode())
