"""The memory of refusals: bounded, and never wrong against the caller."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ratelimit_service.local_store import LocalStore
from ratelimit_service.over_limit import OverLimitCache
from servicekit.buckets.bucket import Shape, shape
from servicekit.buckets.takes import Level, Take
from tests.unit.ratelimit_service.builders import Clock

ONE_A_SECOND = shape(requests=1, period_us=1_000_000, burst=2)
TWO_A_SECOND = shape(requests=2, period_us=1_000_000, burst=2)


def take(key: bytes = b"a", of: Shape = ONE_A_SECOND, hits: int = 1) -> Take:
    """One token from one bucket."""
    return Take(key, of, hits)


def test_a_refusal_is_remembered_until_its_reset() -> None:
    """And the wait that it tells shrinks meanwhile."""
    cache = OverLimitCache()
    cache.remember([take()], [Level(False, 0, 700_000)], 100.0)
    assert cache.levels([take()], 100.5) == [Level(False, 0, 200_000)]
    assert cache.levels([take()], 100.7) is None
    assert len(cache) == 0


def test_only_empty_buckets_are_remembered() -> None:
    """Not what fits, and not a refusal of several hits, of which fewer would have fit."""
    cache = OverLimitCache()
    cache.remember([take(b"a"), take(b"b", hits=5)], [Level(True, 0, 9), Level(False, 1, 700_000)], 100.0)
    assert len(cache) == 0


def test_a_request_is_answered_only_if_all_its_buckets_are_known_to_be_empty() -> None:
    """The other bucket's figures would have to be invented."""
    cache = OverLimitCache()
    cache.remember([take(b"a"), take(b"b")], [Level(False, 0, 700_000), Level(True, 1, 9)], 100.0)
    assert cache.levels([take(b"a"), take(b"b")], 100.1) is None


def test_a_changed_limit_is_not_answered_from_before_the_change() -> None:
    """What was refused under the old numbers may be allowed under the new ones."""
    cache = OverLimitCache()
    cache.remember([take()], [Level(False, 0, 700_000)], 100.0)
    assert cache.levels([take(of=TWO_A_SECOND)], 100.1) is None


def test_a_peek_is_not_answered_from_memory() -> None:
    """It asks for the true figures."""
    cache = OverLimitCache()
    cache.remember([take()], [Level(False, 0, 700_000)], 100.0)
    assert cache.levels([take(hits=0)], 100.1) is None


def test_it_holds_no_more_than_it_may() -> None:
    """A flood of callers pushes out the oldest."""
    cache = OverLimitCache(max_keys=2)
    for key in (b"a", b"b", b"c"):
        cache.remember([take(key)], [Level(False, 0, 700_000)], 100.0)
    assert len(cache) == 2
    assert cache.levels([take(b"a")], 100.1) is None


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.integers(0, 600_000), st.integers(0, 3)), max_size=60))
def test_with_and_without_memory_the_same_requests_pass(trace: list[tuple[bytes, int, int]]) -> None:
    """On any trace, the limiter with the memory in front allows exactly what it allows without."""
    clock = Clock()
    plain, behind = (LocalStore(clock_us=clock.microseconds) for _ in range(2))
    cache = OverLimitCache()
    for key, pause, hits in trace:
        clock.now += pause / 1_000_000
        takes = [take(key, hits=hits)]
        known = cache.levels(takes, clock.now)
        if known is None:
            known = behind.take_now(takes)
            cache.remember(takes, known, clock.now)
        assert [level.fits for level in known] == [level.fits for level in plain.take_now(takes)]


def test_what_was_asked_before_it_forgot_is_not_remembered() -> None:
    """The answer may be from before whatever made it forget; later ones are remembered again."""
    cache = OverLimitCache()
    cache.remember([take(b"a")], [Level(False, 0, 700_000)], 100.0)
    cache.clear(100.1)
    assert len(cache) == 0
    cache.remember([take(b"a")], [Level(False, 0, 700_000)], 100.1)
    assert len(cache) == 0
    cache.remember([take(b"a")], [Level(False, 0, 700_000)], 100.2)
    assert len(cache) == 1


def test_an_amount_that_comes_back_is_asked_for_again() -> None:
    """More may have flowed in under the one in between."""
    cache = OverLimitCache()
    cache.remember([take()], [Level(False, 0, 700_000)], 100.0)
    assert cache.levels([take(of=TWO_A_SECOND)], 100.1) is None
    assert cache.levels([take()], 100.2) is None
