"""Questions with bytes in them that are no text."""

from __future__ import annotations

from contextlib import suppress

import pytest
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from ratelimit_service.wire import read_request

MARK = b"<here-stand-bytes>"


def question(value: str) -> RateLimitRequest:
    """With everything that a question can have."""
    request = RateLimitRequest(domain="gateway", hits_addend=3)
    descriptor = request.descriptors.add()
    descriptor.entries.add(key="limit", value="per-team")
    descriptor.entries.add(key="header:x-team", value=value)
    descriptor.hits_addend.value = 7
    return request


@given(st.binary(min_size=len(MARK), max_size=len(MARK)))
def test_any_bytes_are_read(value: bytes) -> None:
    """Text as it is; what is no text, written out, and all else of the question beside it."""
    data = question(MARK.decode()).SerializeToString().replace(MARK, value)
    assert read_request(data) == question(value.decode(errors="backslashreplace"))


def test_what_is_no_text_has_a_name_of_its_own() -> None:
    """Two such values are two callers."""
    one, other = (
        read_request(question("xx").SerializeToString().replace(b"xx", odd)) for odd in (b"\xff\xfe", b"\xfe\xff")
    )
    assert one != other
    assert one.descriptors[0].entries[1].value == "\\xff\\xfe"


@given(st.binary(max_size=200))
def test_rubbish_is_an_error_and_nothing_else(data: bytes) -> None:
    """Whatever comes over the wire."""
    with suppress(DecodeError):
        read_request(data)


def test_a_question_that_is_cut_off() -> None:
    """No question at all."""
    with pytest.raises(DecodeError):
        read_request(question("x").SerializeToString()[:-3])
