"""A bounded map whose entries end: the least recently used one makes room."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class BoundedCache(Generic[V]):
    """At most ``capacity`` entries, each until a moment of its own. Not for several threads.

    An own one, since a look-up in cachetools' TLRUCache costs eight times as much (``benchmarks/ext_authz.py``).
    """

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a cache holds at least one entry")
        self._capacity = capacity
        self._entries: OrderedDict[bytes, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: float) -> V | None:
        """The value under ``key``, or ``None`` when there is none or it ended at or before ``now``."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry[0]:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: bytes, value: V, *, ends_at: float) -> None:
        """Keep ``value`` until ``ends_at``."""
        self._entries[key] = (ends_at, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def discard(self, key: bytes) -> None:
        """Forget ``key``."""
        self._entries.pop(key, None)
