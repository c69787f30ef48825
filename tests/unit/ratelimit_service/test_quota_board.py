"""What stands in Redis of the claims of others."""

from __future__ import annotations

import json
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from ratelimit_service.quota.board import _read, _written
from ratelimit_service.quota.book import Claim
from servicekit.contracts.limit_policy import Quota

claims = st.builds(
    Claim,
    st.builds(Quota, st.text(min_size=1, max_size=5), st.just("route"), st.text(max_size=5)),
    st.text(max_size=8),
    st.integers(-1, 10**6).map(float),
)
odd = st.binary(max_size=20) | st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists).map(
    lambda value: json.dumps(value).encode()
)


@given(st.lists(claims, max_size=5, unique_by=lambda claim: (claim.key, claim.stream)))
def test_what_one_service_writes_the_others_read(some: list[Claim]) -> None:
    """To six digits."""
    found = [text.encode(errors="surrogatepass") for text in _written(some)]
    read = _read(found)
    assert {Claim(key, stream, demand) for key, streams in read.items() for stream, demand in streams.items()} == {
        claim._replace(demand=float(f"{claim.demand:.6g}")) for claim in some
    }


@given(st.lists(st.tuples(odd, odd | st.sampled_from([b"nan", b"inf", b"-inf", b"1e999", b"7"])), max_size=5))
def test_what_nobody_wrote_is_left_out(some: list[tuple[bytes, bytes]]) -> None:
    """Whatever somebody put there; a demand is a number that can be added."""
    read = _read([part for pair in some for part in pair])
    assert all(isfinite(demand) for streams in read.values() for demand in streams.values())


def test_a_nest_of_lists_is_left_out() -> None:
    """Deeper than Python follows."""
    assert _read([b"[" * 100_000, b"1"]) == {}
