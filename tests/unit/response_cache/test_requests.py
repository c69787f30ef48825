"""What requests are kept under, and which the cache has no say in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.response_cache.builders import asked


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"method": "HEAD"}, ""),
        ({"method": "POST"}, "method"),
        ({"headers": {"range": "bytes=0-1"}}, "request"),
        ({"headers": {"upgrade": "websocket"}}, "request"),
        ({"headers": {"authorization": "x"}}, "credentials"),
        ({"headers": {"cookie": "x"}}, "credentials"),
        ({"headers": {"x-forwarded-client-cert": "x"}}, "credentials"),
        ({"caller": "user:a"}, "credentials"),
        ({"callers": "each"}, "nobody"),
        ({"callers": "each", "caller": "user:a", "headers": {"authorization": "x"}}, ""),
        ({"callers": "all", "headers": {"authorization": "x"}}, ""),
    ],
)
def test_who_passes_by(changes: dict[str, Any], why: str) -> None:
    """And why."""
    assert asked(**changes).passes_by() == why


def test_callers_are_kept_apart() -> None:
    """By who they are, by what they show, and by what upstreams are told of them."""
    others: list[tuple[str, dict[str, str]]] = [
        ("user:a", {}),
        ("user:b", {}),
        ("api_key:a", {}),
        ("user:a", {"authorization": "x"}),
        ("user:a", {"cookie": "x"}),
        ("user:a", {"authorization": ""}),
        ("user:a", {"authorization": "x", "cookie": "y"}),
        ("user:a", {"authorization": "xy"}),
        ("user:a", {"x-user-id": "x"}),
    ]
    keys = [
        asked(callers="each", identity_headers=("x-user-id",), caller=who, headers=headers).key()
        for who, headers in others
    ]
    assert len(set(keys)) == len(keys)


def test_all_callers_share() -> None:
    """Where the rule says so."""
    one = asked(callers="all", caller="user:a", headers={"authorization": "x"})
    assert one.key() == asked(callers="all", caller="user:b").key()


def test_a_changed_route_begins_anew() -> None:
    """Another generation is another key."""
    assert asked().key() != asked(generation="h").key()
