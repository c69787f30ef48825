"""What is the local store's own; its semantics are tested together with Redis' in the integration tests."""

from __future__ import annotations

from ratelimit_service.local_store import LocalStore
from servicekit.buckets.bucket import shape
from servicekit.buckets.takes import Take
from tests.unit.ratelimit_service.builders import Clock

ONE_A_SECOND = shape(requests=1, period_us=1_000_000, burst=2)


def test_it_holds_no_more_keys_than_it_may_and_forgets_the_longest_untouched() -> None:
    """The bucket of an active caller outlives that of one who went away."""
    store = LocalStore(clock_us=Clock().microseconds, max_keys=3)
    for key in (b"active", b"gone", b"b", b"active", b"c"):
        store.take_now([Take(key, ONE_A_SECOND, 1)])
    assert len(store) == 3
    assert not store.take_now([Take(b"active", ONE_A_SECOND, 1)])[0].fits
    assert store.take_now([Take(b"gone", ONE_A_SECOND, 0)])[0].remaining == 2


def test_looking_makes_no_bucket() -> None:
    """Peeks and refusals write nothing."""
    store = LocalStore(clock_us=Clock().microseconds)
    store.take_now([Take(b"a", ONE_A_SECOND, 0), Take(b"b", ONE_A_SECOND, 9)])
    assert len(store) == 0
