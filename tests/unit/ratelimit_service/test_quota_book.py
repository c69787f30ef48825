"""Which Envoys have a share of which limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimit_service.policy import PolicyBook
from ratelimit_service.quota.book import KEPT_SECONDS, LEASE_SECONDS, MOST_BUCKETS, RENEWED_SECONDS, QuotaBook
from ratelimit_service.quota.shares import Bucket
from servicekit.contracts import LimitPolicy
from servicekit.contracts.limit_policy import Quota
from servicekit.retained import GRACE_SECONDS
from tests.unit.ratelimit_service.builders import Clock, limit

ALL = Quota("all", "everyone")


class Bench:
    """A book, a clock and what every stream was told last."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.policy = PolicyBook(clock=self.clock)
        self.publish(requests=1000)
        self.book = QuotaBook(find=self.policy.find, clock=self.clock)
        self.told: dict[str, Bucket | None] = {}

    def publish(self, requests: int | None) -> None:
        """A policy with the limit, or without any."""
        made = limit("all", "everyone", requests=requests or 1, period_seconds=1, burst=requests or 1, is_quota=True)
        self.policy.apply(LimitPolicy(limits=() if requests is None else (made,)))

    def tell(self) -> list[str]:
        """Who is told something."""
        news = list(self.book.news())
        self.told.update({stream: bucket for stream, _, bucket in news})
        return [stream for stream, _, _ in news]

    def report(self, stream: str, requests: int = 0, seconds: float = 0.0) -> list[str]:
        """A report, and who is told something because of it."""
        self.book.report(stream, ALL, requests=requests, seconds=seconds)
        return self.tell()

    def rate(self, stream: str) -> float:
        """Requests a second that a stream may let through."""
        bucket = self.told[stream]
        assert bucket is not None
        return bucket.tokens_per_fill / bucket.fill_seconds


def test_the_first_has_all_and_the_second_half_of_it() -> None:
    """The first hears of it before the second does."""
    bench = Bench()
    assert bench.report("a") == ["a"]
    assert bench.rate("a") == pytest.approx(1000)
    assert bench.report("b") == ["a", "b"]
    assert bench.rate("a") == bench.rate("b") == pytest.approx(500)
    assert bench.tell() == []


def test_shares_follow_what_comes() -> None:
    """Who is asked more gets more, once it says so; a little more is not worth a word."""
    bench = Bench()
    bench.report("a")
    bench.report("b")
    bench.report("a", 3000, 5)
    assert bench.report("b", 1000, 5) == ["b", "a"]
    assert bench.rate("a") == pytest.approx(725)
    assert bench.report("a", 3100, 5) == ["b"], "the other one shrinks, which it has to know"


def test_who_left_keeps_its_share_for_a_while() -> None:
    """It may still let requests through by it."""
    bench = Bench()
    bench.report("a")
    bench.report("b")
    bench.book.leave("b")
    assert bench.tell() == []
    bench.clock.now += KEPT_SECONDS
    assert bench.tell() == ["a"]
    assert bench.rate("a") == pytest.approx(1000)
    assert len(bench.book) == 1


def test_a_limit_that_changed_is_told_and_one_that_is_gone_is_given_up() -> None:
    """With its new numbers; in the end nothing is left of it."""
    bench = Bench()
    bench.report("a")
    bench.publish(2000)
    assert bench.tell() == ["a"]
    assert bench.rate("a") == pytest.approx(2000)
    bench.publish(None)
    assert bench.tell() == []
    bench.clock.now += GRACE_SECONDS + 1
    assert bench.tell() == ["a"]
    assert (bench.told["a"], len(bench.book)) == (None, 0)
    bench.book.leave("a")


def test_leases_are_renewed() -> None:
    """Long before they end, though nothing has changed."""
    bench = Bench()
    bench.report("a")
    bench.clock.now += RENEWED_SECONDS - 1
    assert bench.tell() == []
    bench.clock.now += 1
    assert bench.tell() == ["a"]
    assert RENEWED_SECONDS * 2 < LEASE_SECONDS


def test_others_count_too() -> None:
    """Those that other services know of; nobody twice."""
    bench = Bench()
    bench.report("a")
    bench.book.hear({ALL: {"a": 9.0, "elsewhere": -1.0}})
    assert bench.tell() == ["a"]
    assert bench.rate("a") == pytest.approx(500)


@pytest.mark.parametrize("quota", [Quota("unheard-of", "everyone"), Quota("all", "route", "r")])
def test_nobody_has_a_share_of_nothing(quota: Quota) -> None:
    """Of a limit that is not there."""
    bench = Bench()
    bench.book.report("a", quota, requests=1, seconds=1)
    assert (bench.tell(), len(bench.book)) == ([], 0)


def test_a_stream_has_a_bounded_number_of_buckets() -> None:
    """However many it reports."""
    bench = Bench()
    made = limit("each", "route", is_quota=True)
    bench.policy.apply(LimitPolicy(limits=(made,)))
    for number in range(MOST_BUCKETS + 5):
        bench.book.report("a", Quota("each", "route", str(number)), requests=0, seconds=0)
    assert len(bench.book) == MOST_BUCKETS


steps = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["report", "leave", "wait"]), st.integers(0, 10**6)), max_size=40
)


@given(steps)
def test_together_they_never_have_more_than_the_limit(some: list[tuple[str, str, int]]) -> None:
    """Whoever comes, goes and asks for whatever: the sum of what was told last, also amid telling, of all that are
    connected."""
    bench = Bench()
    streams = {name: name for name in "abcd"}
    for name, step, number in some:
        stream = streams[name]
        if step == "report":
            bench.book.report(stream, ALL, requests=number, seconds=5)
        elif step == "leave":
            bench.book.leave(stream)
            bench.told.pop(stream, None)
            streams[name] += "'"  # who comes back has another stream
        else:
            bench.clock.now += number % 20
        for told, _, bucket in bench.book.news():
            bench.told[told] = bucket
            assert sum(map(bench.rate, bench.told)) <= 1000.001


@given(st.text(max_size=30))
def test_a_bucket_that_we_did_not_name_is_none(text: str) -> None:
    """Whatever an Envoy reports."""
    quota = Quota.of(text)
    assert quota is None or quota.text == text


def test_a_name_comes_apart_again() -> None:
    """With a route and without."""
    for quota in (ALL, Quota("each", "route", "/a")):
        assert Quota.of(quota.text) == quota
