"""Bucket names: nobody shares a bucket, nobody's name stands in a key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from servicekit.buckets.keys import PREFIX, bucket_key, key_seed

parts = st.tuples(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), st.text(max_size=4))


@given(parts, parts)
def test_two_different_descriptors_never_share_a_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Whatever the parts hold: separators, empty parts, parts that run into each other."""
    keys = [bucket_key(key_seed(*names), caller) for *names, caller in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


def test_parts_that_run_together_are_different() -> None:
    """The classic collision of joined keys."""
    assert bucket_key(key_seed("a_b"), "c") != bucket_key(key_seed("a"), "b_c")
    assert bucket_key(key_seed("ab"), "c") != bucket_key(key_seed("a"), "bc")


def test_a_key_does_not_show_its_caller() -> None:
    """A credential given as caller is in no key, and all keys have one length."""
    key = bucket_key(key_seed("gateway", "per-key", "api_key"), "s3cret-credential")
    assert b"s3cret" not in key
    assert key.startswith(PREFIX)
    assert len(key) == len(bucket_key(key_seed("x"), "y" * 10_000))
