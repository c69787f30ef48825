"""Answers in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from response_cache.store import Store
from tests.unit.response_cache.builders import answer, key


def test_variants_are_found_by_their_headers() -> None:
    """Those of the request that the answer varies by; missing is not empty."""
    store = Store(1000)
    german, none = answer(), answer(size=11)
    store.put(key(), {"accept-language": "de"}, german, ("accept-language",))
    store.put(key(), {}, none, ("accept-language",))
    assert store.find(key(), {"accept-language": "de", "x": "y"}, 0) is german
    assert store.find(key(), {}, 0) is none
    assert store.find(key(), {"accept-language": ""}, 0) is None
    assert store.find(key("/b"), {}, 0) is None


def test_another_vary_drops_what_was_there() -> None:
    """It can't be known what the others vary by."""
    store = Store(1000)
    store.put(key(), {"a": "1"}, answer(), ("a",))
    store.put(key(), {"b": "1"}, answer(), ("b",))
    assert (len(store), store.bytes) == (1, 10)
    assert store.variant(key(), {"b": "2"}) == ("2",)


def test_variants_of_a_key_are_bounded() -> None:
    """The oldest goes."""
    store = Store(1 << 20)
    for number in range(101):
        store.put(key(), {"a": str(number)}, answer(), ("a",))
    assert (len(store), store.evicted) == (100, 1)
    assert store.find(key(), {"a": "0"}, 0) is None


def test_what_is_used_stays() -> None:
    """What was used longest ago makes room."""
    store = Store(30)
    for path in ("/a", "/b", "/c"):
        store.put(key(path), {}, answer(), ())
    store.find(key("/a"), {}, 0)
    store.put(key("/d"), {}, answer(size=15), ())
    assert [store.find(key(path), {}, 0) is not None for path in ("/a", "/b", "/c", "/d")] == [True, False, False, True]


def test_what_is_larger_than_everything() -> None:
    """It is not kept, and takes nobody's place but that of what it replaces."""
    store = Store(30)
    store.put(key("/a"), {}, answer(), ())
    store.put(key("/b"), {}, answer(), ())
    assert not store.put(key("/a"), {}, answer(size=31), ())
    assert (store.find(key("/a"), {}, 0), len(store)) == (None, 1)


def test_what_is_over_is_dropped_when_it_is_asked_for() -> None:
    """Unless it may stand in."""
    store = Store(100)
    store.put(key("/a"), {}, answer(ttl=10), ())
    store.put(key("/b"), {}, answer(ttl=10, stale_for=10), ())
    assert store.find(key("/a"), {}, 10) is None
    assert store.find(key("/b"), {}, 10) is not None
    assert store.find(key("/b"), {}, 20) is None
    assert (len(store), store.bytes) == (0, 0)


def test_a_place_is_forgotten_for_all() -> None:
    """Whoever they are kept for."""
    store = Store(100)
    for caller in ("", "a"):
        store.put(key("/a", caller), {}, answer(), ())
    store.put(key("/b"), {}, answer(), ())
    store.forget(("http", "shop", "/a"))
    store.forget(("http", "shop", "/never"))
    assert len(store) == 1


def test_purges() -> None:
    """Those that are meant."""
    store = Store(100)
    for path in ("/a", "/b"):
        store.put(key(path), {}, answer(), ())
    assert store.purge(lambda one: one.target == "/a") == 1
    assert (store.find(key("/a"), {}, 0), len(store)) == (None, 1)


_CHANGES = st.tuples(
    st.sampled_from(["put", "drop", "forget", "find"]),
    st.sampled_from(["/a", "/b", "/c", "/d"]),
    st.sampled_from([(), ("x",), ("x", "y")]),
    st.sampled_from(["", "1", "2"]),
    st.integers(1, 60),
)


@given(st.lists(_CHANGES, max_size=60))
def test_bytes_are_those_that_are_there(changes: list[tuple[str, str, tuple[str, ...], str, int]]) -> None:
    """Whatever happens: never more than the capacity, and nothing left over when all is gone."""
    store = Store(100)
    for what, path, names, value, number in changes:
        match what:
            case "put":
                store.put(key(path), {"x": value}, answer(size=number, ttl=30), names)
            case "drop":
                store.drop(key(path))
            case "forget":
                store.forget(("http", "shop", path))
            case _:
                store.find(key(path), {"x": value}, number)
        assert store.bytes <= 100
    store.purge(lambda _: True)
    assert (store.bytes, len(store), store.variant(key("/a"), {})) == (0, 0, None)
