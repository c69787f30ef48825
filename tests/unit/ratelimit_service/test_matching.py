"""Descriptors to limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ratelimit_service.matching import Descriptor, Matched, match
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import CompiledLimit
from servicekit.contracts import Amount
from tests.unit.ratelimit_service.builders import book, descriptor, limit

PER_USER, PER_IP = limit(), limit("per-ip", "ip")
BOOK = book(PER_USER, PER_IP)


def matching(find: Callable[[str, str], CompiledLimit | None], domain: str, asked: Sequence[Descriptor]) -> Matched:
    """What is found where nothing was said of single callers."""
    return match(find, OverrideBook(wall=lambda: 0.0, changed=lambda: None), domain, asked)


def keys_of(*descriptors: Descriptor) -> list[bytes]:
    """The keys of the buckets that a request takes from."""
    return [take.key for take in matching(BOOK.find, "gateway", descriptors).takes]


def test_each_descriptor_finds_its_limit() -> None:
    """In order, with a bucket for each."""
    matched = matching(BOOK.find, "gateway", [descriptor("per-ip", "ip", "192.0.2.1"), descriptor(hits=4)])
    assert [found.name for found in matched.limits] == ["per-ip", "per-user"]
    assert matched.places == [0, 1]
    assert [take.hits for take in matched.takes] == [1, 4]


@pytest.mark.parametrize(
    "unknown",
    [
        descriptor("per-planet"),
        descriptor("per-user", "ip"),
        Descriptor((("limit", "per-user"),), 1),
        Descriptor((("user", "alice"), ("limit", "per-user")), 1),
        Descriptor((("limit", "per-user"), ("user", "alice"), ("path", "/")), 1),
        Descriptor((), 1),
    ],
)
def test_what_names_no_limit_is_not_limited(unknown: Descriptor) -> None:
    """An unknown name, another kind of caller, or another form; its neighbour is limited all the same."""
    matched = matching(BOOK.find, "gateway", [unknown, descriptor()])
    assert matched.places == [None, 0]


def test_other_domains_have_no_limits() -> None:
    """Only the gateway's own domain is known."""
    assert matching(BOOK.find, "elsewhere", [descriptor()]).takes == []


def test_one_bucket_named_twice_is_asked_for_the_sum() -> None:
    """Otherwise each would be measured against the same tokens."""
    matched = matching(BOOK.find, "gateway", [descriptor(hits=2), descriptor(hits=3), descriptor(caller="bob")])
    assert matched.places == [0, 0, 1]
    assert [take.hits for take in matched.takes] == [5, 1]


def test_callers_do_not_share_buckets() -> None:
    """Two users, and a user and an address of the same spelling."""
    assert len(set(keys_of(descriptor(), descriptor(caller="bob"), descriptor("per-ip", "ip", "alice")))) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("not:an:address", "not:an:address", True),
        ("fe80::1%eth0", "fe80::1%eth0", True),
    ],
)
def test_an_ipv6_caller_is_its_network(one: str, other: str, same: bool) -> None:
    """The first 64 bits; an IPv4 address in IPv6 clothes is itself."""
    first, second = (keys_of(descriptor("per-ip", "ip", caller))[0] for caller in (one, other))
    assert (first == second) is same


def test_only_addresses_are_cut() -> None:
    """A user whose name looks like an address is taken whole."""
    assert len(set(keys_of(descriptor(caller="2001:db8::1"), descriptor(caller="2001:db8::2")))) == 2


def test_a_tier_changes_the_amount_and_not_the_bucket() -> None:
    """Of a limit that has it; any other is as none."""
    pro_amount = Amount(requests=600, period_seconds=60, burst=600)
    tiered = limit("tiered").model_copy(update={"tiers": {"pro": pro_amount}})
    find = book(tiered).find

    def found(*tier: tuple[str, str]) -> tuple[bytes, int]:
        (take,) = matching(find, "gateway", [Descriptor((("limit", "tiered"), ("user", "alice"), *tier), 1)]).takes
        return take.key, take.shape.burst

    plain, pro = found(), found(("tier", "pro"))
    assert plain == found(("tier", "free")) == found(("tier", "-"))
    assert pro == (plain[0], 600) != plain
    assert (
        matching(find, "gateway", [Descriptor((("limit", "tiered"), ("user", "alice"), ("plan", "pro")), 1)]).takes
        == []
    )
