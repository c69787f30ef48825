"""The rules in force, and those that a proxy may ask for which runs another revision."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ext_authz.rules import KeySource, Rule
from servicekit.retained import GRACE_SECONDS, Retained

_NONE: Mapping[str, Rule] = MappingProxyType({})


class RuleBook:
    """Rules by their id. Ids hold a hash of the rule, so one id never means two things."""

    def __init__(self, *, grace: float = GRACE_SECONDS) -> None:
        self._current: Mapping[str, Rule] = _NONE
        self._retained: Retained[str, Rule] = Retained(grace=grace)
        self.next_change = asyncio.Event()
        """Set when other rules come into force the next time."""

    def apply(self, rules: Mapping[str, Rule], now: float, *, others: Mapping[str, Rule] = _NONE) -> None:
        """Put ``rules`` in force at ``now`` (seconds of a clock that never goes back), and ``others`` beside them."""
        self._retained.follow(before=self._current, current=rules, others=others, now=now)
        self._current = rules
        self.next_change.set()
        self.next_change = asyncio.Event()

    def get(self, rule_id: str, now: float) -> Rule | None:
        """The rule called ``rule_id``, or ``None``."""
        rule = self._current.get(rule_id)
        return rule if rule is not None else self._retained.get(rule_id, now)

    def sources(self) -> frozenset[KeySource]:
        """The key sources of every rule that may still be asked for."""
        return frozenset(check.source for rule in self._rules() for check in rule.jwt if check.introspection is None)

    def _rules(self) -> Iterable[Rule]:
        yield from self._current.values()
        yield from self._retained.values()
