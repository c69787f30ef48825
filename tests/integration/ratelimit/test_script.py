"""The script in a real Valkey against a reference model of a few lines, in fractions."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ratelimit_service import script
from ratelimit_service.bucket import Shape, shape
from ratelimit_service.decision import Level, Take
from tests.harness.valkey import Valkey

KEYS = [b"a", b"b", b"c"]
shapes = st.builds(
    shape,
    requests=st.integers(1, 5_000),
    period_us=st.sampled_from([1_000, 7_000, 1_000_000, 60_000_000, 3_600_000_000]),
    burst=st.integers(1, 50),
)
relaxed = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a failing trace says enough; shrinking 10,000 requests takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Model:
    """Token buckets as one would explain them."""

    def __init__(self) -> None:
        self._buckets: dict[bytes, tuple[Fraction, int]] = {}

    def ask(self, takes: Sequence[Take], now: int) -> list[bool]:
        """Which buckets have enough; all give, or none does."""
        tokens = {}
        for key, of, _ in takes:
            had, at = self._buckets.get(key, (Fraction(of.burst), now))
            tokens[key] = min(Fraction(of.burst), had + Fraction(max(0, now - at) * of.rate, of.unit))
        fits = [tokens[take.key] >= max(1, take.hits) for take in takes]
        for key, _, hits in takes:
            taken = hits if all(fits) else 0
            if taken or now < self._buckets.get(key, (0, now))[1]:
                self._buckets[key] = (tokens[key] - taken, now)
        return fits

    def level(self, take: Take, now: int, fits: bool) -> Level:
        """The figures that go with the answer."""
        had, at = self._buckets.get(take.key, (Fraction(take.shape.burst), now))
        per_us = Fraction(take.shape.rate, take.shape.unit)
        tokens = min(Fraction(take.shape.burst), had + max(0, now - at) * per_us)
        goal = take.shape.burst if fits else min(max(1, take.hits), take.shape.burst)
        return Level(fits, int(tokens), ceil(max(Fraction(0), goal - tokens) / per_us))


class Server:
    """Runs the script as the store does; optionally on a clock that the test sets."""

    def __init__(self, client: redis.Redis, *, own_clock: bool) -> None:
        text = script.TEXT
        if own_clock:
            text = text.replace("redis.call('TIME')", "redis.call('HMGET', 'clock', 's', 'us')")
            # the server's expiry goes by its real clock
            text = text.replace("'PX', until_full", "'PX', 3600000")
            assert text.count("'clock'") == text.count("'PX', 3600000") == 1
        self._client: Any = client  # execute_command() has no types
        self._sha = str(client.script_load(text))

    def set_clock(self, now: int) -> None:
        """Set the script's clock, in microseconds."""
        self._client.hset("clock", mapping={"s": now // 1_000_000, "us": now % 1_000_000})

    def ask(self, requests: list[list[Take]]) -> tuple[int, list[list[Level]]]:
        """One call: the server's time and the answers."""
        reply = self._client.execute_command("EVALSHA", self._sha, *script.pack(requests))
        return int(struct.unpack_from("<d", reply)[0]), script.unpack(requests, reply)


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    """A plain client of the empty server."""
    with redis.Redis.from_url(valkey.url) as made:
        yield made


def compare(model: Model, requests: list[list[Take]], now: int, answers: list[list[Level]]) -> None:
    """Let the model decide the same requests and find the same."""
    for takes, levels in zip(requests, answers, strict=True):
        fits = model.ask(takes, now)
        expected = [model.level(take, now, fit) for take, fit in zip(takes, fits, strict=True)]
        assert levels == expected, (takes, now)


def some_requests(rng: random.Random, of: dict[bytes, Shape], most: int) -> list[list[Take]]:
    """A batch of requests with one to three buckets each, mostly single hits."""
    return [
        [
            Take(key, of[key], rng.choice((0, 1, 1, 1, 1, 2, of[key].burst, of[key].burst + 1)))
            for key in rng.sample(KEYS, rng.randint(1, len(KEYS)))
        ]
        for _ in range(rng.randint(1, most))
    ]


@relaxed
@given(st.tuples(shapes, shapes, shapes), st.integers(0, 2**32))
def test_the_script_is_the_model_on_any_clock(client: redis.Redis, of: tuple[Shape, ...], seed: int) -> None:
    """10,000 requests a trace; time stands still, runs, leaps and is set back; every figure is equal."""
    client.flushall()
    rng, model = random.Random(seed), Model()
    server = Server(client, own_clock=True)
    now, asked = 1_795_000_000_000_000, 0
    token_us = min(one.unit // one.rate for one in of) + 1
    while asked < 10_000:
        now += rng.choice((0, 0, 1, token_us, token_us * 3, token_us * 100, -token_us * 2))
        server.set_clock(now)
        requests = some_requests(rng, dict(zip(KEYS, of, strict=True)), most=12)
        at, answers = server.ask(requests)
        assert at == now
        compare(model, requests, now, answers)
        asked += len(requests)


@relaxed
@given(st.integers(500, 20_000), st.integers(1, 20), st.integers(0, 2**32))
def test_the_script_is_the_model_on_the_servers_clock(client: redis.Redis, rate: int, burst: int, seed: int) -> None:
    """10,000 requests a trace in real time, keys expiring as they do, under limits that refill during it."""
    client.flushall()
    rng, model = random.Random(seed), Model()
    server = Server(client, own_clock=False)
    of = dict.fromkeys(KEYS, shape(requests=rate, period_us=1_000_000, burst=burst))
    asked, refused = 0, 0
    while asked < 10_000:
        requests = some_requests(rng, of, most=12)
        now, answers = server.ask(requests)
        compare(model, requests, now, answers)
        asked += len(requests)
        refused += sum(not level.fits for levels in answers for level in levels)
    assert refused


def test_the_largest_numbers_are_exact(client: redis.Redis) -> None:
    """A bucket of 2**52 units, to the unit."""
    of = Shape(2**20, 2**32, 3)
    server, model = Server(client, own_clock=True), Model()
    now = 1_795_000_000_000_000
    for step, hits in ((0, 2**20), (1, 1), (2**32 // 3, 1), (1, 1), (2**51, 2**20), (2**40, 5)):
        now += step
        server.set_clock(now)
        _, answers = server.ask([[Take(b"a", of, hits)]])
        compare(model, [[Take(b"a", of, hits)]], now, answers)


def test_a_key_lives_until_its_bucket_is_full_and_only_taking_writes(client: redis.Redis) -> None:
    """Peeks and refusals make no key and move no expiry."""
    of = shape(requests=1, period_us=10_000_000, burst=2)
    server = Server(client, own_clock=False)
    server.ask([[Take(b"a", of, 0)], [Take(b"a", of, 3)]])
    assert client.keys() == []
    server.ask([[Take(b"a", of, 2)]])
    until, value = client.pexpiretime("a"), client.get(b"a")
    assert 15_000 < client.pttl(b"a") <= 20_000
    server.ask([[Take(b"a", of, 0)], [Take(b"a", of, 1)]])
    assert (client.pexpiretime("a"), client.get(b"a")) == (until, value)


def test_foreign_values_are_full_buckets(client: redis.Redis) -> None:
    """Whatever lies under a key, the script neither fails nor lets it hurt other requests of the call."""
    client.hset("a", "x", "y")
    client.set("b", "no bucket")
    of = shape(requests=1, period_us=10_000_000, burst=2)
    _, answers = Server(client, own_clock=False).ask([[Take(key, of, 1)] for key in KEYS])
    assert answers == [[Level(True, 1, 10_000_000)]] * 3


def test_a_clock_that_was_set_back_does_not_freeze_a_bucket(client: redis.Redis) -> None:
    """A server that took over with a clock an hour behind: the next token comes after its usual time."""
    of = shape(requests=1, period_us=1_000_000, burst=1)
    server = Server(client, own_clock=True)
    now = 1_795_000_000_000_000
    server.set_clock(now)
    server.ask([[Take(b"a", of, 1)]])
    now -= 3_600_000_000
    server.set_clock(now)
    assert server.ask([[Take(b"a", of, 1)]])[1] == [[Level(False, 0, 1_000_000)]]
    server.set_clock(now + 1_000_000)
    assert server.ask([[Take(b"a", of, 1)]])[1][0][0].fits
