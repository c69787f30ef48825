"""The rules in force, and for a while those that were: a proxy may still run the previous revision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ext_authz.rules import KeySource, Rule

GRACE: Final = 30.0
"""Seconds that a rule goes on being answered after the policy that had it."""


class RuleBook:
    """Rules by their id. Ids hold a hash of the rule, so one id never means two things."""

    def __init__(self, *, grace: float = GRACE) -> None:
        self._grace = grace
        self._current: Mapping[str, Rule] = {}
        self._retired: dict[str, tuple[float, Rule]] = {}

    def apply(self, rules: Mapping[str, Rule], now: float) -> None:
        """Put ``rules`` in force at ``now`` (seconds of a clock that never goes back)."""
        retired = {rule_id: (now + self._grace, rule) for rule_id, rule in self._current.items()}
        kept = {rule_id: entry for rule_id, entry in self._retired.items() if now < entry[0]}
        self._retired = {rule_id: entry for rule_id, entry in (kept | retired).items() if rule_id not in rules}
        self._current = rules

    def get(self, rule_id: str, now: float) -> Rule | None:
        """The rule called ``rule_id``, or ``None``."""
        rule = self._current.get(rule_id)
        if rule is not None:
            return rule
        entry = self._retired.get(rule_id)
        return entry[1] if entry is not None and now < entry[0] else None

    def sources(self) -> frozenset[KeySource]:
        """The key sources of every rule that may still be asked for."""
        return frozenset(check.source for rule in self._rules() for check in rule.jwt)

    def _rules(self) -> Iterable[Rule]:
        yield from self._current.values()
        yield from (rule for _, rule in self._retired.values())
