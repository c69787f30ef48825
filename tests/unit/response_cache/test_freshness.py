"""Whether answers are kept, and for how long."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from response_cache.freshness import Lifetime, NotKept, http_date, judge
from tests.unit.response_cache.builders import rule

NOW = 1_764_000_000.0


def judged(headers: dict[str, str], status: int = 200, asked_at: float = NOW, **changes: Any) -> Lifetime | NotKept:
    """Of an answer that came now."""
    return judge(status, headers, rule(**changes), asked_at=asked_at, now=NOW)


@pytest.mark.parametrize(
    ("headers", "ttl"),
    [
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "max-age=60, s-maxage=90"}, 90),
        ({"cache-control": "max-age=60", "expires": "0"}, 60),
        ({"expires": formatdate(NOW + 30, usegmt=True)}, 30),
        ({"expires": formatdate(NOW + 30, usegmt=True), "date": formatdate(NOW + 20, usegmt=True)}, 10),
        ({"cache-control": "max-age=99999999"}, 3600),
    ],
)
def test_lifetimes(headers: dict[str, str], ttl: float) -> None:
    """The most special says it, and the rule has the last word."""
    assert judged(headers) == Lifetime(ttl=ttl, age=0, stale_for=0)


@pytest.mark.parametrize(
    ("status", "kept"), [(200, True), (204, True), (301, True), (404, False), (302, False), (500, False), (206, False)]
)
def test_the_default(status: int, kept: bool) -> None:
    """For what is no error."""
    assert isinstance(judged({}, status, ttl=60), Lifetime) is kept


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"cache-control": "no-store"}, "no-store"),
        ({"cache-control": 'private="x"'}, "private"),
        ({"cache-control": "no-cache"}, "no-cache"),
        ({"set-cookie": "a=b"}, "set-cookie"),
        ({"vary": "*"}, "vary"),
        ({"content-type": "Text/Event-Stream; charset=utf-8"}, "endless"),
        ({"cache-control": "max-age=0"}, "no-lifetime"),
        ({"expires": "yesterday"}, "no-lifetime"),
        ({"age": "60"}, "too-old"),
        ({"date": formatdate(NOW - 61, usegmt=True)}, "too-old"),
    ],
)
def test_what_is_not_kept(headers: dict[str, str], reason: str) -> None:
    """Whatever the rule would keep."""
    assert judged(headers, ttl=60) == NotKept(reason)


def test_the_way_here_counts() -> None:
    """An answer is as old as the way took, and as old as it says."""
    assert judged({"cache-control": "max-age=60", "age": "10"}, asked_at=NOW - 5) == Lifetime(
        ttl=60, age=15, stale_for=0
    )


@pytest.mark.parametrize(
    ("directives", "stale_for"),
    [
        ("", 300),
        (", stale-if-error=60", 60),
        (", stale-if-error=9999", 300),
        (", stale-if-error=0", 0),
        (", must-revalidate", 0),
        (", proxy-revalidate", 0),
        (", s-maxage=60", 0),
    ],
)
def test_standing_in(directives: str, stale_for: float) -> None:
    """As long as both the route and its upstream allow."""
    found = judged({"cache-control": f"max-age=60{directives}"}, stale_if_error=300)
    assert isinstance(found, Lifetime)
    assert found.stale_for == stale_for


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "vary"]), st.text(max_size=60)))
def test_whatever_comes(headers: dict[str, str]) -> None:
    """Any answer is judged, and none is kept for longer than the rule says."""
    found = judged(headers, ttl=60)
    assert isinstance(found, NotKept) or 0 <= found.age < found.ttl <= 3600


@given(st.text(max_size=60))
def test_dates(text: str) -> None:
    """A text is a date or it is none."""
    assert http_date(text) is None or isinstance(http_date(text), float)
