"""Other amounts for single callers of single limits, as far as this process knows them. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ratelimit_service.policy import CompiledLimit, Ruled
from ratelimit_service.rulings import LONGEST_DENIAL, UNLIMITED, denial
from servicekit.contracts import LimitOverrides, Override

_Names = tuple[str, ...]


class _Compiled(NamedTuple):
    of: CompiledLimit
    ruled: Ruled


class OverrideBook:
    """Overrides by limit and caller.

    Who has none costs a look into an empty dictionary, or two where others of the same limit have one.

    Args:
        wall: seconds since the epoch.
        changed: called after any override came, went or became another.
    """

    def __init__(self, *, wall: Callable[[], float], changed: Callable[[], None]) -> None:
        self._wall = wall
        self._changed = changed
        self._parts: dict[str, Mapping[str, Override]] = {}
        self._by_limit: dict[str, dict[_Names, Override]] = {}
        self._compiled: dict[str, _Compiled] = {}

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def put(self, parts: Mapping[str, LimitOverrides], dropped: frozenset[str], _is_complete: bool) -> None:
        """Learn parts that are new or other ones, and which are not there any more."""
        news = {name: {one.id: one for one in part.overrides} for name, part in parts.items()}
        touched = False
        for name, overrides in (news | {name: {} for name in dropped}).items():
            touched |= self._replace(name, overrides)
        if touched:
            self._changed()

    def find(self, limit: CompiledLimit, caller: _Names) -> Ruled | None:
        """What holds for ``caller`` in place of ``limit``, if anything does."""
        callers = self._by_limit.get(limit.name)
        override = callers.get(caller) if callers is not None else None
        if override is None or (override.expires_at is not None and override.expires_at <= self._wall()):
            return None
        known = self._compiled.get(override.id)
        if known is not None and known.of is limit and override.ruling != "denied":
            return known.ruled
        ruled = self._rule(override, limit)
        self._compiled[override.id] = _Compiled(limit, ruled)
        return ruled

    def _rule(self, override: Override, limit: CompiledLimit) -> Ruled:
        if override.amount is not None:
            return Ruled(limit.with_amount(override.amount), None)
        if override.ruling == "unlimited":
            return Ruled(limit, UNLIMITED)
        left = LONGEST_DENIAL if override.expires_at is None else override.expires_at - self._wall()
        return Ruled(limit, denial(left))

    def _replace(self, name: str, overrides: Mapping[str, Override]) -> bool:
        before = self._parts.get(name, {})
        for one in before.values():
            if overrides.get(one.id) != one:
                self._forget(one)
        for one in overrides.values():
            self._by_limit.setdefault(one.limit, {})[one.caller] = one
        self._parts[name] = overrides
        if not overrides:
            del self._parts[name]
        return before != overrides

    def _forget(self, one: Override) -> None:
        self._compiled.pop(one.id, None)
        callers = self._by_limit[one.limit]
        del callers[one.caller]
        if not callers:
            del self._by_limit[one.limit]
