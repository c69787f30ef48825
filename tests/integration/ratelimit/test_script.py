"""The script in a real Valkey against a reference model of a few lines, in fractions."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ratelimit_service.local_store import LocalStore
from servicekit.buckets import script
from servicekit.buckets.bucket import Shape, shape
from servicekit.buckets.leases import Leases, lease_number
from servicekit.buckets.takes import Level, Take
from servicekit.buckets.window import FIXED, Form, Window, fixed_window, sliding_window, tallied_window
from tests.harness.valkey import Valkey

KEYS = [b"a", b"b", b"c"]
WINDOW_KEYS = [b"w", b"x", b"y"]
shapes = st.builds(
    shape,
    requests=st.integers(1, 5_000),
    period_us=st.sampled_from([1_000, 7_000, 1_000_000, 60_000_000, 3_600_000_000]),
    burst=st.integers(1, 50),
)
windows = st.builds(
    lambda make, requests, period_us: make(requests=requests, period_us=period_us),
    st.sampled_from([fixed_window, sliding_window]),
    st.integers(1, 50) | st.integers(10**8, 10**9),
    st.sampled_from([1_000, 7_000, 1_000_000, 86_400_000_000, 31_536_000_000_000]),
)
leases = st.builds(
    lambda most, lease: Leases(most, lease), st.integers(1, 6), st.sampled_from([1_000, 700_000, 60_000_000])
)
tallies = st.builds(tallied_window, requests=st.integers(0, 50), period_us=st.just(1_000_000))
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
        """Which buckets have enough; all give, or none does. A charge takes what there is, and nobody refuses it."""
        tokens = {}
        for key, of, _ in takes:
            assert isinstance(of, Shape)
            had, at = self._buckets.get(key, (Fraction(of.burst), now))
            tokens[key] = min(Fraction(of.burst), had + Fraction(max(0, now - at) * of.rate, of.unit))
        fits = [take.hits < 0 or tokens[take.key] >= max(1, take.hits) for take in takes]
        for key, _, hits in takes:
            taken = min(tokens[key], Fraction(-hits)) if hits < 0 else Fraction(hits if all(fits) else 0)
            if taken or now < self._buckets.get(key, (0, now))[1]:
                self._buckets[key] = (tokens[key] - taken, now)
        return fits

    def level(self, take: Take, now: int, fits: bool) -> Level:
        """The figures that go with the answer."""
        assert isinstance(take.shape, Shape)
        had, at = self._buckets.get(take.key, (Fraction(take.shape.burst), now))
        per_us = Fraction(take.shape.rate, take.shape.unit)
        tokens = min(Fraction(take.shape.burst), had + max(0, now - at) * per_us)
        goal = take.shape.burst if fits else min(max(1, take.hits), take.shape.burst)
        return Level(fits, int(tokens), ceil(max(Fraction(0), goal - tokens) / per_us))


class Windows:
    """Windows as one would explain them: what was taken in each, by the number of the window."""

    def __init__(self, of: Window) -> None:
        self.of = of
        self._taken: dict[int, int] = {}

    def free(self, now: int) -> Fraction:
        """How many requests have room; of a sliding window not rounded."""
        number, elapsed = divmod(now, self.of.period_us)
        free = Fraction(self.of.burst - self._taken.get(number, 0))
        if self.of.slide != FIXED and self._taken.get(number - 1, 0):
            step = -self.of.slide
            steps = -(-self.of.period_us // step)
            free -= self._taken[number - 1] * Fraction(-(-(self.of.period_us - elapsed) // step), steps)
        return free

    def take(self, now: int, hits: int) -> None:
        """Count. Of a charge no more than a window holds."""
        number = now // self.of.period_us
        taken = self._taken.get(number, 0)
        self._taken[number] = taken + hits if hits >= 0 else min(taken - hits, self.of.burst)


class Server:
    """Runs the script as the store does; optionally on a clock that the test sets."""

    def __init__(self, client: redis.Redis, *, own_clock: bool) -> None:
        text = script.TEXT
        if own_clock:
            text = text.replace("redis.call('TIME')", "redis.call('HMGET', 'clock', 's', 'us')")
            # the server's expiry goes by its real clock
            text = text.replace("'PX', until_unused", "'PX', 3600000")
            text = text.replace("math.ceil(leases.lease / 1000)", "3600000 + 0 * leases.lease")
            assert text.count("'clock'") == text.count("0 * leases") == 1
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


def some_requests(rng: random.Random, of: Mapping[bytes, Form], most: int) -> list[list[Take]]:
    """A batch of requests with one to three buckets each, mostly single hits, and some charges."""
    return [
        [
            Take(key, of[key], rng.choice(some_hits(of[key])))
            for key in rng.sample(list(of), rng.randint(1, min(3, len(of))))
        ]
        for _ in range(rng.randint(1, most))
    ]


def some_hits(of: Form) -> tuple[int, ...]:
    """What a request may ask for; of leases two that have neighbours, and one that is far from all."""
    if isinstance(of, Leases):
        return (0, 7, 9, 7, 2**51, -7, -9, -(2**51))
    return (0, 1, 1, 1, 1, 2, of.burst, of.burst + 1, -1, -of.burst)


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
@given(st.tuples(windows, windows, windows), st.integers(0, 2**32))
def test_windows_are_their_model_on_any_clock(client: redis.Redis, of: tuple[Window, ...], seed: int) -> None:
    """3,000 requests a trace, all-or-nothing under several windows: who fits, what is left, and waits that are true."""
    client.flushall()
    rng, server = random.Random(seed), Server(client, own_clock=True)
    model = {key: Windows(one) for key, one in zip(WINDOW_KEYS, of, strict=True)}
    now, asked, told = 1_795_000_000_000_000, 0, 1
    while asked < 3_000:
        period = rng.choice(of).period_us
        now += rng.choice((0, 0, 1, told - 1, told, period // 50, period // 3, period, period * 2))
        server.set_clock(now)
        requests = some_requests(rng, {key: one.of for key, one in model.items()}, most=12)
        for takes, levels in zip(requests, server.ask(requests)[1], strict=True):
            fits = [take.hits < 0 or model[take.key].free(now) >= max(1, take.hits) for take in takes]
            for take in takes:
                if all(fits) or take.hits < 0:
                    model[take.key].take(now, take.hits)
            found = [(level.fits, level.remaining) for level in levels]
            assert found == [
                (fit, max(0, floor(model[take.key].free(now)))) for fit, take in zip(fits, takes, strict=True)
            ]
            for take, level in zip(takes, levels, strict=True):
                waits(model[take.key], take, level, now)
                told = level.reset_us or told
        asked += len(requests)


def waits(model: Windows, take: Take, level: Level, now: int) -> None:
    """After the time that a refusal told of, the request fits, and not a microsecond before."""
    need = max(1, take.hits)
    if not level.fits and need <= take.shape.burst:
        assert model.free(now + level.reset_us) >= need > model.free(now + level.reset_us - 1)


@relaxed
@given(st.integers(0, 20), st.integers(0, 2**32))
def test_a_tally_is_a_counter_that_is_always_increased(client: redis.Redis, most: int, seed: int) -> None:
    """INCRBY, and over the limit if the result is: 2,000 descriptors a trace, hits of 0 to 5, two minutes and more."""
    client.flushall()
    rng, server, counted = random.Random(seed), Server(client, own_clock=True), Counter[int]()
    of, now = tallied_window(requests=most, period_us=60_000_000), 1_795_000_000_000_000
    for _ in range(500):
        now += rng.choice((0, 0, 0, 1_000_000, 30_000_000))
        server.set_clock(now)
        takes = [Take(b"a", of, rng.choice((0, 1, 1, 2, 5))) for _ in range(4)]
        for take, (level,) in zip(takes, server.ask([[take] for take in takes])[1], strict=True):
            counted[now // of.period_us] += take.hits
            after = counted[now // of.period_us]
            assert (level.fits, level.remaining) == (after <= most, max(0, most - after))
            assert level.reset_us == of.period_us - now % of.period_us


@relaxed
@given(st.tuples(shapes | leases, windows | leases, windows | tallies), st.integers(0, 2**32))
def test_this_process_decides_as_the_script_does(client: redis.Redis, of: tuple[Form, ...], seed: int) -> None:
    """3,000 requests a trace under buckets and windows mixed: the local store's answers are the script's."""
    client.flushall()
    rng, server = random.Random(seed), Server(client, own_clock=True)
    now, asked = 1_795_000_000_000_000, 0
    local = LocalStore(clock_us=lambda: now)
    while asked < 3_000:
        now += rng.choice((0, 0, 1, 300, 20_000, 700_000, 90_000_000, 5_000_000_000))
        server.set_clock(now)
        requests = some_requests(rng, dict(zip(KEYS, of, strict=True)), most=12)
        assert server.ask(requests)[1] == [local.take_now(takes) for takes in requests]
        asked += len(requests)


@relaxed
@given(leases, st.integers(0, 2**32))
def test_requests_in_flight_are_counted(client: redis.Redis, of: Leases, seed: int) -> None:
    """1,000 begin and end in any order, some with one name, some never: no more at a time than there are leases, and
    one is refused only if as many have begun and neither ended nor lasted longer than a lease."""
    client.flushall()
    rng, server = random.Random(seed), Server(client, own_clock=True)
    now = 1_795_000_000_000_000
    flying: dict[tuple[int, int], int] = {}
    for _ in range(1_000):
        now += rng.choice((0, 1, of.lease_us // 3))
        server.set_clock(now)
        flying = {one: ends for one, ends in flying.items() if ends > now}
        if flying and rng.random() < 0.4:
            # of several with one name the last in line: whichever ends, one fewer is left
            name = rng.choice(list(flying))[0]
            del flying[max(one for one in flying if one[0] == name)]
            ((level,),) = server.ask([[Take(b"a", of, -lease_number(str(name)))]])[1]
            assert level == Level(True, of.burst - len(flying), of.lease_us if flying else 0)
            continue
        name = rng.randrange(4)
        ((level,),) = server.ask([[Take(b"a", of, lease_number(str(name)))]])[1]
        assert level.fits is (len(flying) < of.burst)
        if level.fits:
            flying[min((name, place) for place in range(99) if (name, place) not in flying)] = now + of.lease_us
        assert level.remaining == of.burst - len(flying)
    server.set_clock(now + of.lease_us)
    assert server.ask([[Take(b"a", of, 0)]])[1] == [[Level(True, of.burst, 0)]]


@relaxed
@given(st.integers(1, 30), st.sampled_from([7, 1_000]), st.integers(0, 2**32))
def test_a_sliding_window_admits_no_more_than_a_bucket(requests: int, period_us: int, seed: int) -> None:
    """In no stretch of t more than requests * (1 + t / period), and in no window of the clock more than requests."""
    rng, now = random.Random(seed), 0
    store = LocalStore(clock_us=lambda: now)
    of, admitted = sliding_window(requests=requests, period_us=period_us), list[int]()
    for _ in range(400):
        now += rng.choice((0, 0, 0, 1, period_us // 7, period_us // 2, period_us))
        if store.take_now([Take(b"a", of, 1)])[0].fits:
            admitted.append(now)
    for first, began in enumerate(admitted):
        assert all(
            count <= requests * (1 + Fraction(at - began, period_us))
            for count, at in enumerate(admitted[first:], start=1)
        )
    assert max(Counter(at // period_us for at in admitted).values()) <= requests


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


@pytest.mark.parametrize("make", [fixed_window, sliding_window])
def test_a_clock_that_was_set_back_does_not_freeze_a_window(client: redis.Redis, make: Callable[..., Window]) -> None:
    """A server that took over with a clock an hour behind: what was taken counts, in the window that is now."""
    of = make(requests=2, period_us=60_000_000)
    server = Server(client, own_clock=True)
    now = 1_795_000_020_000_000
    server.set_clock(now)
    server.ask([[Take(b"a", of, 2)]])
    now -= 3_600_000_000
    server.set_clock(now)
    assert not server.ask([[Take(b"a", of, 1)]])[1][0][0].fits
    server.set_clock(now + 120_000_000)
    assert server.ask([[Take(b"a", of, 2)]])[1][0][0].fits


def test_a_window_is_kept_until_it_counts_no_more(client: redis.Redis) -> None:
    """A fixed one until its end, a sliding one for one window longer; looking and refusals write nothing."""
    fixed, sliding = (make(requests=1, period_us=1_000_000_000) for make in (fixed_window, sliding_window))
    server = Server(client, own_clock=False)
    server.ask([[Take(b"fixed", fixed, 0), Take(b"sliding", sliding, 2)]])
    assert client.keys() == []
    now, ((one, other),) = server.ask([[Take(b"fixed", fixed, 1), Take(b"sliding", sliding, 1)]])
    left = 1_000_000_000 - now % 1_000_000_000
    assert (one.reset_us, other.reset_us) == (left, left + 1_000_000_000)
    assert 0 <= left // 1000 + 1 - client.pttl("fixed") < 1_000
    assert 0 <= left // 1000 + 1_000_001 - client.pttl("sliding") < 1_000
