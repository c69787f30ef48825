"""Descriptors to limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ratelimit_service.decision import Verdict
from ratelimit_service.matching import Descriptor, Matched, match
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import CompiledLimit
from ratelimit_service.rulings import UNLIMITED
from servicekit.contracts import Amount, Limit, LimitOverrides, Override
from servicekit.contracts.limit_overrides import override_id
from servicekit.contracts.limit_policy import Case, Condition, Grant
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
        Descriptor((("limit", "per-user"), ("by", "user path"), ("user", "alice"), ("path", "/")), 1),
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
    assert plain == found(("tier", "free")) == found(("tier", "-")) == found(("unheard-of", "pro"))
    assert pro == (plain[0], 600) != plain


def one(made: Limit, *entries: tuple[str, str], hits: int = 1) -> Matched:
    """One descriptor under one limit."""
    return matching(book(made).find, "gateway", [Descriptor((("limit", made.name), *entries), hits)])


def mixed(*entries: tuple[str, str]) -> tuple[str, ...]:
    """The caller, of a limit by three things."""
    (caller,) = one(limit(by="user header:x-team path"), ("by", "user header:x-team path"), *entries).callers
    assert caller is not None
    return caller


def test_a_caller_is_made_of_its_parts_in_the_limits_order() -> None:
    """Whatever stands where; what is absent is as if it were empty, and no other's value."""
    assert mixed(("path", "/a?b"), ("user", "p:x"), ("header:x-team", "red")) == ("p:x", "red", "/a")
    assert mixed(("user", "p:x"), ("path", "/a")) == ("p:x", "", "/a")
    by = "header:x-a header:x-b"
    keys = [
        one(limit(by=by), ("by", by), *entries).takes[0].key
        for entries in ([("header:x-a", "v")], [("header:x-b", "v")], [("header:x-a", "v"), ("header:x-b", "")])
    ]
    assert keys[0] == keys[2] != keys[1]


def test_callers_are_named_as_they_are_counted() -> None:
    """An address by its network; nobody where there is no limit."""
    matched = matching(BOOK.find, "gateway", [descriptor("per-ip", "ip", "2001:db8::1"), descriptor("unheard-of")])
    assert matched.callers == [("2001:db8::/64",), None]


def test_everyone_is_one_caller() -> None:
    """A limit without parts."""
    matched = one(limit(by="everyone"), ("by", "everyone"))
    assert (matched.callers, len(matched.takes)) == ([()], 1)


SMALL = Amount(requests=1, period_seconds=60, burst=1)


def case(value: str, grant: Grant) -> Case:
    """For users whose names begin with this."""
    return Case(when={"user": Condition(kind="prefix", value=value)}, grant=grant)


def test_the_first_case_that_fits_wins_over_the_tier() -> None:
    """An amount, all, or nothing."""
    made = limit(cases=(case("p:small", SMALL), case("p:", "unlimited")), tiers={"none": "denied", "all": "unlimited"})
    (take,) = one(made, ("user", "p:small-1"), ("tier", "none")).takes
    assert take.shape.burst == 1
    for entries in ([("user", "p:x")], [("user", "q:x"), ("tier", "all")]):
        (verdict,) = one(made, *entries).places
        assert isinstance(verdict, Verdict)
        assert verdict.level is UNLIMITED
    (verdict,) = one(made, ("user", "q:x"), ("tier", "none")).places
    assert isinstance(verdict, Verdict)
    assert not verdict.level.fits


@pytest.mark.parametrize(
    ("said", "cost"),
    [("3", 3), ("007", 7), ("0", 1), ("-4", 1), ("2.5", 1), ("", 1), ("٣", 1), ("11", 10), ("9" * 5000, 1)],
)
def test_what_a_request_says_it_costs(said: str, cost: int) -> None:
    """Whole numbers from 1 to the most; all else counts as one."""
    (take,) = one(limit(most_cost=10), ("user", "a"), ("cost", said)).takes
    assert take.hits == cost


def test_nobody_says_what_it_costs_where_the_limit_does_not_ask() -> None:
    """An entry too many changes nothing."""
    assert one(limit(), ("user", "a"), ("cost", "5")).takes[0].hits == 1
    assert one(limit(most_cost=10), ("user", "a")).takes[0].hits == 1


def test_a_charge_is_what_is_owed_beyond_the_first() -> None:
    """Bounded; and where nothing is owed nobody is asked."""
    made = limit(most_cost=10)
    owed = (("user", "a"), ("charge", "charge"))
    assert [one(made, *owed, hits=hits).takes[0].hits for hits in (2, 5, 10, 2**63)] == [-1, -4, -9, -9]
    for hits in (0, 1):
        matched = one(made, *owed, hits=hits)
        assert matched.takes == []
        assert matched.places != [None]


def test_what_was_said_of_a_caller_wins_over_cases_and_tiers() -> None:
    """Of a caller of several parts, and of one with a tier; others have what the limit says."""
    for made, caller, entries in (
        (
            limit(by="user path", cases=(case("p:", SMALL),)),
            ("p:x", "/a"),
            (("by", "user path"), ("user", "p:x"), ("path", "/a?b")),
        ),
        (limit(tiers={"pro": "denied"}), ("p:x",), (("user", "p:x"), ("tier", "pro"))),
    ):
        overrides = OverrideBook(wall=lambda: 0.0, changed=lambda: None)
        asked = [Descriptor((("limit", made.name), *entries), 1)]
        before = match(book(made).find, overrides, "gateway", asked)
        assert [take.shape.burst for take in before.takes] != [77]
        said = Override(
            id=override_id(made.name, caller),
            limit=made.name,
            caller=caller,
            ruling="amount",
            amount=Amount(requests=77, period_seconds=60, burst=77),
        )
        overrides.put({"part": LimitOverrides(overrides=(said,))}, frozenset(), True)
        after = match(book(made).find, overrides, "gateway", asked)
        assert [take.shape.burst for take in after.takes] == [77]
