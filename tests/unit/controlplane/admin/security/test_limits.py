"""Token buckets by caller: never more than burst and rate allow, and a wait that is true."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.admin.security.limits import Buckets, Rate, address_key


class Clock:
    """Time that a test turns on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5), st.floats(0.1, 10))
def test_never_more_than_burst_and_rate(pauses: list[float], burst: int, rate: float) -> None:
    """Whatever the pauses are."""
    clock = Clock()
    buckets = Buckets(Rate(burst, rate), clock=clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += buckets.take("caller") == 0
    assert passed <= burst + clock.now * rate + 1e-6


def test_the_wait_is_long_enough_and_others_do_not_wait() -> None:
    """After so many seconds there is a token; nobody else's bucket is touched."""
    clock = Clock()
    buckets = Buckets(Rate(1, 0.4), clock=clock)
    assert buckets.take("a") == 0
    wait = buckets.take("a")
    assert wait == 3
    assert buckets.take("b") == 0
    clock.now += wait
    assert buckets.take("a") == 0


def test_memory_is_bounded() -> None:
    """Who is forgotten begins anew."""
    buckets = Buckets(Rate(1, 0.001), clock=lambda: 0.0, size=10)
    for number in range(100):
        buckets.take(str(number))
    assert buckets.take("0") == 0
    assert buckets.take("99") > 0


def test_an_ipv6_site_is_one_address() -> None:
    """It has 2^64 of them; IPv4 and names are as they are."""
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:1") != address_key("2001:db8:0:1::1")
    assert address_key("192.0.2.1") == "192.0.2.1"
    assert address_key("unix") == "unix"
