"""Answers in memory, those used longest ago making room. No I/O and no clock: ``now`` is in seconds, never back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from response_cache.freshness import Lifetime
from response_cache.requests import Key

OVERHEAD: Final = 2048
"""Bytes that an answer is counted with besides its texts: what Python needs for it."""
_MOST_VARIANTS: Final = 100
"""Of one key; the oldest goes first."""

Headers: TypeAlias = tuple[tuple[str, str], ...]
Variant: TypeAlias = tuple[str | None, ...]
Place: TypeAlias = tuple[str, str, str]
"""Scheme, host and target, whichever route answers and whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer of an upstream."""

    status: int
    headers: Headers
    """Names in lower case."""
    body: bytes
    lifetime: Lifetime
    came_at: float
    size: int
    """Bytes that it counts for."""

    def age(self, now: float) -> float:
        """Seconds since it was made."""
        return self.lifetime.age + now - self.came_at

    def left(self, now: float) -> float:
        """Seconds for which it is fresh; negative when it is stale."""
        return self.lifetime.ttl - self.age(now)

    def may_stand_in(self, now: float) -> bool:
        """Whether it may be used where the upstream fails."""
        return self.left(now) + self.lifetime.stale_for > 0


class _Variants:
    __slots__ = ("answers", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.answers: OrderedDict[Variant, Answer] = OrderedDict()


class Store:
    """Up to ``capacity`` bytes of answers. Not for several threads."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.bytes = 0
        self.evicted = 0
        """Answers that had to make room, ever."""
        self._keys: dict[Key, _Variants] = {}
        self._places: dict[Place, set[Key]] = {}
        self._recent: OrderedDict[tuple[Key, Variant], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._recent)

    def variant(self, key: Key, headers: Mapping[str, str]) -> Variant | None:
        """The headers that answers of ``key`` vary by, as this request has them; ``None`` if there is no answer yet."""
        found = self._keys.get(key)
        return None if found is None else tuple(headers.get(name) for name in found.names)

    def find(self, key: Key, headers: Mapping[str, str], now: float) -> Answer | None:
        """The answer to a request, which may be stale; one that nobody may use any more is dropped."""
        found = self._keys.get(key)
        if found is None:
            return None
        variant = tuple(headers.get(name) for name in found.names)
        answer = found.answers.get(variant)
        if answer is None:
            return None
        if answer.left(now) <= 0 and not answer.may_stand_in(now):
            self._drop(key, variant)
            return None
        self._recent.move_to_end((key, variant))
        return answer

    def put(self, key: Key, headers: Mapping[str, str], answer: Answer, varies_by: tuple[str, ...]) -> bool:
        """Keep ``answer`` to a request with ``headers``; whether there was room. Others of the key go when it varies by
        other headers than they do."""
        known = self._keys.get(key)
        if known is not None and known.names != varies_by:
            self.drop(key)
            known = None
        variant = tuple(headers.get(name) for name in varies_by)
        if known is not None and variant in known.answers:
            self._drop(key, variant)
        if answer.size > self.capacity:
            return False
        # Again from the book: what was dropped may have been the last of the key.
        known = self._keys.get(key)
        if known is not None and len(known.answers) >= _MOST_VARIANTS:
            self._evict(key, next(iter(known.answers)))
        while self.bytes + answer.size > self.capacity:
            self._evict(*next(iter(self._recent)))
        self._keys.setdefault(key, _Variants(varies_by)).answers[variant] = answer
        self._places.setdefault(_place(key), set()).add(key)
        self._recent[key, variant] = None
        self.bytes += answer.size
        return True

    def forget(self, place: Place) -> None:
        """Drop all answers of ``place``."""
        for key in tuple(self._places.get(place, ())):
            self.drop(key)

    def drop(self, key: Key) -> None:
        """Forget all answers of ``key``."""
        found = self._keys.get(key)
        for variant in tuple(found.answers) if found is not None else ():
            self._drop(key, variant)

    def purge(self, gone: Callable[[Key], bool]) -> int:
        """Forget every answer under keys of which ``gone`` says so; how many those were."""
        dropped = [(key, variant) for key, variant in self._recent if gone(key)]
        for key, variant in dropped:
            self._drop(key, variant)
        return len(dropped)

    def _evict(self, key: Key, variant: Variant) -> None:
        self.evicted += 1
        self._drop(key, variant)

    def _drop(self, key: Key, variant: Variant) -> None:
        found = self._keys[key]
        self.bytes -= found.answers.pop(variant).size
        del self._recent[key, variant]
        if not found.answers:
            del self._keys[key]
            self._places[_place(key)].discard(key)
            if not self._places[_place(key)]:
                del self._places[_place(key)]


def _place(key: Key) -> Place:
    return key.scheme, key.host, key.target
