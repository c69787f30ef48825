"""The bounded cache, against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.cache import BoundedCache

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 5)), max_size=60)


@given(STEPS, st.integers(1, 4))
def test_it_behaves_like_its_model(steps: list[tuple[bool, int, int]], capacity: int) -> None:
    """Bounded, least recently used goes first, nothing outlives its end."""
    cache: BoundedCache[int] = BoundedCache(capacity)
    model: dict[bytes, tuple[float, int]] = {}
    for now, (write, name, life) in enumerate(steps):
        key = bytes([name])
        if write:
            cache.put(key, now, ends_at=now + life)
            model.pop(key, None)
            model[key] = (now + life, now)
            if len(model) > capacity:
                del model[next(iter(model))]
            continue
        entry = model.pop(key, None)
        alive = entry is not None and now < entry[0]
        if entry is not None and alive:
            model[key] = entry
        assert cache.get(key, now) == (entry[1] if entry is not None and alive else None)
        assert len(cache) == len(model)


def test_nothing_is_kept_in_no_space() -> None:
    """A capacity below one is a mistake of the caller."""
    with pytest.raises(ValueError, match="at least one"):
        BoundedCache(0)
