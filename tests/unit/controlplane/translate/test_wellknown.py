"""Durations reach Envoy as they were written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.translate.wellknown import duration


@given(st.integers(0, 10**10))
def test_microseconds_survive(microseconds: int) -> None:
    """No duration of the document is rounded, and none is out of the type's range."""
    found = duration(microseconds / 1_000_000)
    assert found.seconds * 1_000_000 + found.nanos // 1_000 == microseconds
    assert 0 <= found.nanos < 10**9
