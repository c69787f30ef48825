"""Rules as they are looked up: per domain a tree of descriptors, each level by key and value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from servicekit.buckets.window import Window, tallied_window

UNIT_SECONDS: Mapping[str, int] = {
    "SECOND": 1,
    "MINUTE": 60,
    "HOUR": 3_600,
    "DAY": 86_400,
    "WEEK": 604_800,
    "MONTH": 2_592_000,
    "YEAR": 31_536_000,
}
"""Lengths of a window. A month has 30 days and a year 365, from 1970 on, as the files mean them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLimit:
    """What ``rate_limit`` and the switches beside it say."""

    unit: str
    """Of :data:`UNIT_SECONDS`; ``UNKNOWN`` of unlimited ones."""
    requests_per_unit: int
    unlimited: bool = False
    name: str = ""
    replaces: tuple[str, ...] = ()
    shadow: bool = False
    quota: bool = False
    detailed_metric: bool = False
    window: Window = field(init=False)

    def __post_init__(self) -> None:
        """Work the window out once."""
        window = tallied_window(requests=self.requests_per_unit, period_us=UNIT_SECONDS.get(self.unit, 1) * 1_000_000)
        object.__setattr__(self, "window", window)


@dataclass(slots=True, kw_only=True)
class Rule:
    """One descriptor of a file."""

    key: str
    value: str
    """Empty: any."""
    limit: RuleLimit | None
    value_to_metric: bool
    share_threshold: bool
    below: Level

    @property
    def label(self) -> str:
        """``key``, or ``key_value``."""
        return f"{self.key}_{self.value}" if self.value else self.key


@dataclass(slots=True)
class Level:
    """Descriptors side by side."""

    exact: dict[tuple[str, str], Rule] = field(default_factory=dict)
    wildcards: list[Rule] = field(default_factory=list)
    """In the order of the file."""
    defaults: dict[str, Rule] = field(default_factory=dict)
    """By key, for any value."""

    def find(self, key: str, value: str) -> Rule | None:
        """The most specific rule: this very value, else the first wildcard that fits, else any value."""
        found = self.exact.get((key, value))
        if found is None and self.wildcards:
            found = next((rule for rule in self.wildcards if fits(rule, key, value)), None)
        return found if found is not None else self.defaults.get(key)

    def add(self, rule: Rule) -> bool:
        """Put a rule in; ``False`` if there is one with its key and value."""
        if (rule.key, rule.value) in self.exact or (not rule.value and rule.key in self.defaults):
            return False
        if rule.value:
            self.exact[rule.key, rule.value] = rule
        else:
            self.defaults[rule.key] = rule
        if "*" in rule.value or (not rule.value and rule.key.endswith("*")):
            self.wildcards.append(rule)
        return True

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.exact or self.defaults)

    def rules(self) -> list[Rule]:
        """All of them."""
        return [*self.exact.values(), *self.defaults.values()]


Domains = Mapping[str, Level]


def fits(rule: Rule, key: str, value: str) -> bool:
    """Whether a wildcard rule covers an entry: each ``*`` of its value stands for any text, also for none.

    A rule without a value whose *key* ends in ``*`` covers every key that begins so.
    """
    if not rule.value:
        return key.startswith(rule.key[:-1])
    if key != rule.key:
        return False
    first, *middle, last = rule.value.split("*")
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for part in middle:
        at = value.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def dump(domains: Domains) -> str:
    """Every limit on a line of its own, in the words of the service whose files these are."""
    return "".join(line for domain, level in domains.items() for line in _lines(level, f"{domain}."))


def _lines(level: Level, path: str) -> list[str]:
    found = []
    for rule in level.rules():
        here = path + rule.label
        if rule.limit is not None:
            found.append(
                f"{here}: unit={rule.limit.unit} requests_per_unit={rule.limit.requests_per_unit}, "
                f"shadow_mode: {str(rule.limit.shadow).lower()}\n"
            )
        found += _lines(rule.below, f"{here}.")
    return found
