"""A bounded memory of callers who are over a limit, so that refusing them again needs no store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from servicekit.buckets.bucket import MICROSECONDS
from servicekit.buckets.takes import Level, Take
from servicekit.buckets.window import Form


class _Empty(NamedTuple):
    until: float
    shape: Form


class OverLimitCache:
    """Buckets that were seen empty, until the moment when their next token is there.

    Never wrong against the caller: an empty bucket or a full window only gets worse before its next token or place, and
    the moment is counted from before the store was asked. Changing a limit changes its shape, which ends what was
    remembered under the old one; overrides that come and go end all of it, a reset what is remembered of its bucket.
    Only deleting a key in the store by hand goes unnoticed, until that moment.
    """

    def __init__(self, *, max_keys: int = 65_536) -> None:
        self._max_keys = max_keys
        self._empty: dict[bytes, _Empty] = {}
        self._forgot_at = -inf

    def levels(self, takes: Sequence[Take], now: float) -> list[Level] | None:
        """The answer to a request if every bucket that it takes from is known to be empty."""
        found = []
        for take in takes:
            empty = self._empty.get(take.key)
            if empty is None or take.hits != 1:
                return None
            if empty.shape != take.shape:  # and should the old one come back, more may have flowed in meanwhile
                del self._empty[take.key]
                return None
            wait = empty.until - now
            if wait <= 0:
                del self._empty[take.key]
                return None
            found.append(Level(False, 0, max(1, int(wait * MICROSECONDS))))
        return found

    def remember(self, takes: Sequence[Take], levels: Sequence[Level], asked_at: float) -> None:
        """Keep what a refusal by the store says of each bucket that refused, unless something was forgotten since."""
        if asked_at <= self._forgot_at:
            return
        for take, level in zip(takes, levels, strict=True):
            # a request for several may be refused with tokens left, of which a later one may get some
            if not level.fits and take.hits == 1:
                self._put(take.key, _Empty(asked_at + level.reset_us / MICROSECONDS, take.shape))

    def clear(self, now: float) -> None:
        """Forget everything, and what the store was asked until ``now`` too."""
        self._empty.clear()
        self._forgot_at = now

    def forget(self, keys: Iterable[bytes], now: float) -> None:
        """Forget these, and what the store was asked until ``now``."""
        for key in keys:
            self._empty.pop(key, None)
        self._forgot_at = now

    def __len__(self) -> int:
        return len(self._empty)

    def _put(self, key: bytes, empty: _Empty) -> None:
        self._empty.pop(key, None)
        self._empty[key] = empty
        if len(self._empty) > self._max_keys:
            del self._empty[next(iter(self._empty))]
