"""Addresses, as text and as values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.address import Address, parse_address


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:65535", "[::1]:80", "unix:/run/x.sock", "a-b.example:1"])
def test_an_address_reads_back_as_it_was_written(text: str) -> None:
    """Text to value and back."""
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "host",
        "host:",
        "host:70000",
        "::1:80",
        "unix:relative",
        "unix:/" + "x" * 107,
        "a b:1",
        "[::1]",
        "h:1x",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """In words that show the text."""
    with pytest.raises(ValueError, match=r"address|Unix socket"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/x", True),
        ("0.0.0.0:1", False),
        ("192.0.2.1:1", False),
        ("[::]:1", False),
        ("controlplane:1", False),
        ("127.0.0.1.example.com:1", False),
    ],
)
def test_only_loopback_and_unix_sockets_stay_on_the_machine(text: str, stays: bool) -> None:
    """A name that only looks like loopback does not."""
    assert parse_address(text).stays_on_machine is stays


@given(st.text(max_size=40) | st.text("0123456789abcdef:.[]unix/", max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    """And an address reads back equal."""
    with contextlib.suppress(ValueError):
        address = parse_address(text)
        assert parse_address(str(address)) == address
        assert isinstance(address, Address)
