"""Descriptors to limits: which rule covers each, and under which key it is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ratelimit_service.rules.tree import Domains, Level, Rule, RuleLimit
from servicekit.buckets.keys import bucket_key, key_seed

Entries = tuple[tuple[str, str], ...]


class Asked(NamedTuple):
    """One descriptor of a request."""

    entries: Entries
    hits: int
    override: RuleLimit | None = None
    """A limit that the request itself brings, in place of the rule's."""


class Ruled(NamedTuple):
    """The limit of one descriptor."""

    limit: RuleLimit
    key: bytes
    """Where it is counted: one key per domain, entries and length of the window, as the text of none can forge."""
    label: str
    """The rule for metrics: of rules, not of callers, unless the file asks for values."""


def match(domains: Domains, domain: str, asked: Sequence[Asked]) -> list[Ruled | None]:
    """The limit of each descriptor; ``None`` where none applies or another of the request replaces it."""
    level = domains.get(domain)
    if level is None:
        return [None] * len(asked)
    found = [_one(domain, level, one) for one in asked]
    replaced = {name for ruled in found if ruled is not None for name in ruled.limit.replaces}
    if not replaced:
        return found
    return [
        None if ruled is not None and not ruled.limit.unlimited and ruled.limit.name in replaced else ruled
        for ruled in found
    ]


def _one(domain: str, level: Level, asked: Asked) -> Ruled | None:
    if asked.override is not None:
        label = ".".join(_label(key, value) for key, value in asked.entries)
        return Ruled(asked.override, _key(domain, asked.override, asked.entries), label)
    path = _path(level, asked.entries)
    if path is None or path[-1].limit is None:
        return None
    limit = path[-1].limit
    counted = tuple(
        (key, rule.value if rule.share_threshold and (key, value) != (rule.key, rule.value) else value)
        for (key, value), rule in zip(asked.entries, path, strict=True)
    )
    return Ruled(limit, _key(domain, limit, counted), _labels(limit, path, asked.entries))


def _path(level: Level, entries: Entries) -> list[Rule] | None:
    """The rule of every entry, from the top down; ``None`` unless there is one for each."""
    path: list[Rule] = []
    for key, value in entries:
        rule = level.find(key, value)
        if rule is None:
            return None
        path.append(rule)
        level = rule.below
    return path or None


def _key(domain: str, limit: RuleLimit, entries: Entries) -> bytes:
    parts = [part for entry in entries for part in entry]
    return bucket_key(key_seed("rules", domain, limit.unit), *parts)


def _labels(limit: RuleLimit, path: Sequence[Rule], entries: Entries) -> str:
    return ".".join(
        _label(key, value)
        if (limit.detailed_metric or rule.value_to_metric) and not rule.share_threshold
        else rule.label
        for (key, value), rule in zip(entries, path, strict=True)
    )


def _label(key: str, value: str) -> str:
    return f"{key}_{value}" if value else key
